"""Decide where in the log a resuming client starts, and which items it may have missed.

A position is an epoch, which identifies a log, and a seq, the number of an item in that log. In two cases it is unknown
what the client missed. If the epoch is that of another log, the same seq means another item. If the seq is above the
newest item of this log, the log has lost its newest items. In both cases everything stored is announced as a gap, and
the connection starts live.

If items after the position are not stored any more, exactly those items are the gap, and the stored ones are replayed.
"""

import re
from enum import StrEnum
from typing import NamedTuple

POSITION = r"^([A-Za-z0-9]{1,32}):([0-9]{1,16})$(?!\n)"

_POSITION = re.compile(POSITION)


class Position(NamedTuple):
    """A place in the log that `epoch` identifies; as text, `<epoch>:<seq>`. A client at this position has every
    matching item up to and including `seq`.
    """

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


class ResumeSince(NamedTuple):
    """A request to start with the first item that was accepted at `time` (Unix seconds) or later."""

    time: float


class ResumeLast(NamedTuple):
    """A request to start with the newest items that match the client's filters; `items` is how many of them."""

    items: int


class ResumeAfter(NamedTuple):
    """A request to start after item `seq` of the current log."""

    seq: int


ResumeRequest = Position | ResumeSince | ResumeLast | ResumeAfter


class GapReason(StrEnum):
    """Why items may be missing. `expired`: they are not stored any more. `epoch_changed`: the client's position belongs
    to another log. `future_seq`: the position is above the newest item, because the log has lost items. `unreadable`:
    the items are stored, but the server cannot read, match or encode them.
    """

    EXPIRED = "expired"
    EPOCH_CHANGED = "epoch_changed"
    FUTURE_SEQ = "future_seq"
    UNREADABLE = "unreadable"


class LogGap(NamedTuple):
    """The items `from_seq` to `to_seq`, inclusive, which the client may have missed and which are not sent. The gap is
    empty if `to_seq` is `from_seq` - 1.
    """

    from_seq: int
    to_seq: int
    reason: GapReason

    @property
    def items(self) -> int:
        return self.to_seq - self.from_seq + 1


class LogBounds(NamedTuple):
    """Which items a log stores: `oldest` to `head`, inclusive. If it stores none, `oldest` is `head` + 1."""

    epoch: str
    oldest: int
    head: int


class LogRange(NamedTuple):
    """Where a connection starts: with the first item after seq `after`. `gap` has the earlier items that the client may
    have missed; it is None if there are none.

    `is_requested` is False if the connection starts there only because its token delays every item. It is True if the
    connection resumes: its client asked for this start, or the last ack of its device determines it.
    """

    after: int
    gap: LogGap | None = None
    is_requested: bool = True


def parse_position(text: str) -> Position:
    """Parse `<epoch>:<seq>`. Raises ValueError if the text does not have this form."""
    found = _POSITION.match(text)
    if found is None:
        raise ValueError(text)
    return Position(found[1], int(found[2]))


def resume(requested: Position, log: LogBounds) -> LogRange:
    """Return where in the log a client starts if it has everything up to a position. If the position is in another
    epoch or above the newest item, the client starts live, and everything stored is the gap.
    """
    if requested.epoch != log.epoch:
        return _start_live(log, GapReason.EPOCH_CHANGED)
    if requested.seq > log.head:
        return _start_live(log, GapReason.FUTURE_SEQ)
    return resume_after(requested.seq, log)


def resume_after(seq: int, log: LogBounds) -> LogRange:
    """Return where a client starts if it has everything up to `seq` of this log. Later items that are not stored any
    more are the gap. A seq above the newest item is treated as the newest item.
    """
    after = min(seq, log.head)
    if after >= log.oldest - 1:
        return LogRange(after)
    return LogRange(log.oldest - 1, LogGap(after + 1, log.oldest - 1, GapReason.EXPIRED))


def missing(after: int, up_to: int, oldest: int) -> list[LogGap]:
    """Return the gaps that explain why a read of the log did not return the items above `after` and up to `up_to`: the
    items before `oldest`, the oldest stored one, were deleted, and the others cannot be read.
    """
    gaps = (
        LogGap(after + 1, min(up_to, oldest - 1), GapReason.EXPIRED),
        LogGap(max(after + 1, oldest), up_to, GapReason.UNREADABLE),
    )
    return [gap for gap in gaps if gap.items > 0]


def _start_live(log: LogBounds, reason: GapReason) -> LogRange:
    return LogRange(log.head, LogGap(log.oldest, log.head, reason))
