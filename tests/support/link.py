"""A link that records instead of sending."""

from typing import Any

import msgspec

from app.core.closing import Ending


class RecordingLink:
    """Keeps the frames; `stalled` pretends that the client takes nothing."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.frames: list[bytes] = []
        self.endings: list[Ending] = []
        self.aborted = False
        self.stalled = stalled
        self.is_closing = False

    def write(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return not self.is_closing

    def buffered(self) -> int:
        return sum(map(len, self.frames)) if self.stalled else 0

    def close(self, ending: Ending) -> None:
        self.endings.append(ending)

    def abort(self) -> None:
        self.aborted = True

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The JSON of every text frame."""
        return [msgspec.json.decode(payload_of(frame)) for frame in self.frames if frame[0] == 0x81]


def payload_of(frame: bytes) -> bytes:
    """Undo RFC 6455 section 5.2 for one whole unmasked frame."""
    size = frame[1]
    start = {126: 4, 127: 10}.get(size, 2)
    declared = int.from_bytes(frame[2:start], "big") if start > 2 else size
    assert len(frame) == start + declared
    return frame[start:]
