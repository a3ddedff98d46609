"""Positions in the log: where a client may ask to start, and when continuity cannot be proven.

A position is an epoch and a seq. In another epoch the same seq means another item, and a seq from the future was
assigned by a log that has lost its newest items. In both cases it is unknown what the client missed, so everything
stored is announced as a gap and the connection starts live. If the position is older than the oldest stored item, the
rest is replayed and the gap is exact.
"""

import re
from enum import StrEnum
from typing import NamedTuple

POSITION = r"^([A-Za-z0-9]{1,32}):([0-9]{1,16})$(?!\n)"

_POSITION = re.compile(POSITION)


class Position(NamedTuple):
    """A place in a log: the client has its items up to `seq`."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


class ResumeSince(NamedTuple):
    """Start with what was accepted at a time or later (Unix seconds)."""

    time: float


class ResumeLast(NamedTuple):
    """Start with a number of the newest items that match."""

    items: int


class ResumeAfter(NamedTuple):
    """Start after a seq of this log."""

    seq: int


ResumeRequest = Position | ResumeSince | ResumeLast | ResumeAfter


class GapReason(StrEnum):
    """Why continuity cannot be proven."""

    EXPIRED = "expired"
    EPOCH_CHANGED = "epoch_changed"
    FUTURE_SEQ = "future_seq"


class LogGap(NamedTuple):
    """Items `from_seq` to `to_seq`, inclusive, may have been missed and cannot be sent."""

    from_seq: int
    to_seq: int
    reason: GapReason

    @property
    def items(self) -> int:
        return self.to_seq - self.from_seq + 1


class LogBounds(NamedTuple):
    """What a log holds: items `oldest` to `head` of an epoch. An empty log has `oldest` = `head` + 1."""

    epoch: str
    oldest: int
    head: int


class LogRange(NamedTuple):
    """Where a connection starts: after the seq `after`, with the gap before it. `is_requested` is False if the client
    did not ask for it but its token delays every item.
    """

    after: int
    gap: LogGap | None = None
    is_requested: bool = True


def parse_position(text: str) -> Position:
    """Parse `<epoch>:<seq>`. Raises ValueError."""
    found = _POSITION.match(text)
    if found is None:
        raise ValueError(text)
    return Position(found[1], int(found[2]))


def resume(requested: Position, log: LogBounds) -> LogRange:
    """Return where a client that was at a position continues."""
    if requested.epoch != log.epoch:
        return _start_live(log, GapReason.EPOCH_CHANGED)
    if requested.seq > log.head:
        return _start_live(log, GapReason.FUTURE_SEQ)
    return resume_after(requested.seq, log)


def resume_after(seq: int, log: LogBounds) -> LogRange:
    """Return where to start reading after a seq of this log; what is not stored any more is a gap."""
    after = min(seq, log.head)
    if after >= log.oldest - 1:
        return LogRange(after)
    return LogRange(log.oldest - 1, LogGap(after + 1, log.oldest - 1, GapReason.EXPIRED))


def _start_live(log: LogBounds, reason: GapReason) -> LogRange:
    return LogRange(log.head, LogGap(log.oldest, log.head, reason))
