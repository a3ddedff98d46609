"""A link that records instead of sending."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

import msgspec

from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.session import Session
from app.ports.transport import ConnectionHandler


class RecordingLink:
    """Records frames; a `stalled` client reads nothing until the test lets it."""

    def __init__(self, *, stalled: bool = False, send_handle: object = None) -> None:
        # SendMany writes to sockets only: without one, everything goes through the link.
        self.send_handle = send_handle
        self.frames: list[bytes] = []
        self.writes = 0
        self.endings: list[DisconnectReason] = []
        self.aborted = False
        self.stalled = stalled
        self.is_closing = False
        self.untaken = 0
        self.on_resume: Callable[[], None] = lambda: None

    def set_write_limit(self, high_water_bytes: int) -> None:
        """Send nothing, so report nothing."""

    def switch_handler(self, session: Session, handler: ConnectionHandler[Session]) -> None:
        handler.on_open(session, self)

    def write(self, frames: bytes) -> bool:
        self.writes += 1
        self.frames += split(frames)
        self.untaken += len(frames) * self.stalled
        return not self.is_closing

    def buffered_bytes(self) -> int:
        return self.untaken

    def take(self, size: int | None = None) -> None:
        """Let the client read some bytes, or read all and continue to read."""
        self.stalled = size is not None
        self.untaken -= self.untaken if size is None else size
        self.on_resume()

    def close(self, ending: DisconnectReason) -> None:
        self.endings.append(ending)

    def abort(self) -> None:
        self.aborted = True

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The JSON of every text frame."""
        return [msgspec.json.decode(payload_of(frame)) for frame in self.frames if frame[0] == 0x81]

    @property
    def seqs(self) -> list[int]:
        """The seqs of the items, in order of arrival."""
        return [message["seq"] for message in self.messages if message["type"] == "news_item"]

    @property
    def kinds(self) -> list[str]:
        """The types of all messages; a run of the same type is listed once."""
        return [kind for kind, _ in groupby(message["type"] for message in self.messages)]


def payload_of(frame: bytes) -> bytes:
    """Undo RFC 6455 section 5.2 for one whole unmasked frame."""
    start, end = _bounds(frame)
    assert len(frame) == end
    return frame[start:]


def split(frames: bytes) -> list[bytes]:
    """Split what is written at once into its frames."""
    parts = []
    while frames:
        _, end = _bounds(frames)
        parts.append(frames[:end])
        frames = frames[end:]
    return parts


def _bounds(frames: bytes) -> tuple[int, int]:
    """Return where the first frame's payload begins and ends."""
    size = frames[1] if len(frames) > 1 else 0
    start = {126: 4, 127: 10}.get(size, 2)
    return start, start + (int.from_bytes(frames[2:start], "big") if start > 2 else size)
