"""Where a connection starts: continuity is claimed only if it is proven."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.delivery.positions import (
    GapReason,
    LogBounds,
    LogGap,
    LogRange,
    Position,
    parse_position,
    resume,
    resume_after,
)

LOG = LogBounds("a1", oldest=11, head=20)

ASKED = [
    (Position("a1", 20), LogRange(20)),
    (Position("a1", 15), LogRange(15)),
    (Position("a1", 10), LogRange(10)),
    (Position("a1", 9), LogRange(10, LogGap(10, 10, GapReason.EXPIRED))),
    (Position("a1", 0), LogRange(10, LogGap(1, 10, GapReason.EXPIRED))),
    (Position("a1", 21), LogRange(20, LogGap(11, 20, GapReason.FUTURE_SEQ))),
    (Position("b2", 15), LogRange(20, LogGap(11, 20, GapReason.EPOCH_CHANGED))),
]


@pytest.mark.parametrize(("asked", "start"), ASKED)
def test_position_is_resumed_or_the_gap_named(asked: Position, start: LogRange) -> None:
    assert resume(asked, LOG) == start


def test_empty_log_has_no_gap() -> None:
    empty = LogBounds("a1", oldest=1, head=0)

    assert resume(Position("a1", 0), empty) == LogRange(0)
    gap = resume(Position("b2", 7), empty).gap
    assert gap is not None
    assert gap.items == 0


@given(seq=st.integers(0, 60), oldest=st.integers(1, 30), size=st.integers(0, 30))
def test_resume_after_seq_replays_or_announces_everything(seq: int, oldest: int, size: int) -> None:
    log = LogBounds("a1", oldest, oldest + size - 1)

    start = resume_after(seq, log)

    wanted = set(range(seq + 1, log.head + 1))
    replayed = set(range(start.after + 1, log.head + 1))
    announced = set(range(start.gap.from_seq, start.gap.to_seq + 1)) if start.gap else set()
    assert wanted == replayed | announced
    assert not replayed & announced


@pytest.mark.parametrize("text", ["a1:0", "abcDEF012:9007199254740992"])
def test_position_round_trips(text: str) -> None:
    assert str(parse_position(text)) == text


@pytest.mark.parametrize(
    "text", ["", "a1", "a1:", ":1", "a1:-1", "a1:1.5", "a1:1 ", "a 1:1", "a1:1:1", "a1:١", "a1:1\n"]
)
def test_invalid_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_position(text)
