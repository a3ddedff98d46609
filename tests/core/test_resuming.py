"""Where a connection begins: continuity is claimed only where it is proven."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.resuming import Bounds, Gap, Position, Reason, Start, follow, parse_position, resume

LOG = Bounds("a1", oldest=11, head=20)

ASKED = [
    (Position("a1", 20), Start(20)),
    (Position("a1", 15), Start(15)),
    (Position("a1", 10), Start(10)),
    (Position("a1", 9), Start(10, Gap(10, 10, Reason.EXPIRED))),
    (Position("a1", 0), Start(10, Gap(1, 10, Reason.EXPIRED))),
    (Position("a1", 21), Start(20, Gap(11, 20, Reason.FUTURE_SEQ))),
    (Position("b2", 15), Start(20, Gap(11, 20, Reason.EPOCH_CHANGED))),
]


@pytest.mark.parametrize(("asked", "start"), ASKED)
def test_a_position_is_resumed_or_the_gap_is_named(asked: Position, start: Start) -> None:
    assert resume(asked, LOG) == start


def test_nothing_is_missed_in_an_empty_log() -> None:
    empty = Bounds("a1", oldest=1, head=0)

    assert resume(Position("a1", 0), empty) == Start(0)
    gap = resume(Position("b2", 7), empty).gap
    assert gap is not None
    assert gap.items == 0


@given(seq=st.integers(0, 60), oldest=st.integers(1, 30), size=st.integers(0, 30))
def test_what_follows_a_seq_is_replayed_or_announced_and_nothing_else(seq: int, oldest: int, size: int) -> None:
    log = Bounds("a1", oldest, oldest + size - 1)

    start = follow(seq, log)

    wanted = set(range(seq + 1, log.head + 1))
    replayed = set(range(start.after + 1, log.head + 1))
    announced = set(range(start.gap.from_seq, start.gap.to_seq + 1)) if start.gap else set()
    assert wanted == replayed | announced
    assert not replayed & announced


@pytest.mark.parametrize("text", ["a1:0", "abcDEF012:9007199254740992"])
def test_a_position_is_read_back_as_it_was_written(text: str) -> None:
    assert str(parse_position(text)) == text


@pytest.mark.parametrize(
    "text", ["", "a1", "a1:", ":1", "a1:-1", "a1:1.5", "a1:1 ", "a 1:1", "a1:1:1", "a1:١", "a1:1\n"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_position(text)
