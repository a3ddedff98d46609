"""Where in the log a connection begins. This file owns what may be asked, and when continuity cannot be proven.

A position is an epoch and a seq. In another epoch a seq means something else, and one from the future was given by a
log that has lost its end since: in both cases nothing tells what the client missed, so everything stored is announced
as a gap and the connection begins live. Behind the oldest stored item the rest is replayed and the gap is exact.
"""

import re
from enum import StrEnum
from typing import NamedTuple

POSITION = r"^([A-Za-z0-9]{1,32}):([0-9]{1,16})$(?!\n)"

_POSITION = re.compile(POSITION)


class Position(NamedTuple):
    """A place in a log: the client has what it wants up to `seq`."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


class ResumeSince(NamedTuple):
    """Ask for what was accepted at a time or later (Unix seconds)."""

    time: float


class ResumeLast(NamedTuple):
    """Ask for so many of the newest items that match."""

    items: int


class ResumeAfter(NamedTuple):
    """Ask for what follows a seq of this log."""

    seq: int


ResumeRequest = Position | ResumeSince | ResumeLast | ResumeAfter


class GapReason(StrEnum):
    """Why continuity cannot be proven."""

    EXPIRED = "expired"
    EPOCH_CHANGED = "epoch_changed"
    FUTURE_SEQ = "future_seq"


class LogGap(NamedTuple):
    """Items `from_seq` to `to_seq`, both included, may have been missed for good."""

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
    """Where a connection begins: behind `after`, with what it missed for good before that; asked for, or because its
    token shows it everything late.
    """

    after: int
    gap: LogGap | None = None
    is_requested: bool = True


def parse_position(text: str) -> Position:
    """Read `<epoch>:<seq>`. Raises ValueError."""
    found = _POSITION.match(text)
    if found is None:
        raise ValueError(text)
    return Position(found[1], int(found[2]))


def resume(asked: Position, log: LogBounds) -> LogRange:
    """Find where a client goes on that was at a position before."""
    if asked.epoch != log.epoch:
        return _start_live(log, GapReason.EPOCH_CHANGED)
    if asked.seq > log.head:
        return _start_live(log, GapReason.FUTURE_SEQ)
    return resume_after(asked.seq, log)


def resume_after(seq: int, log: LogBounds) -> LogRange:
    """Find where to read what follows a seq of this log: what is not stored any more is a gap."""
    after = min(seq, log.head)
    if after >= log.oldest - 1:
        return LogRange(after)
    return LogRange(log.oldest - 1, LogGap(after + 1, log.oldest - 1, GapReason.EXPIRED))


def _start_live(log: LogBounds, reason: GapReason) -> LogRange:
    return LogRange(log.head, LogGap(log.oldest, log.head, reason))
