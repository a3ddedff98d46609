"""A tally beside a dict that counts one by one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from app.core.tally import Tally

SLOTS = st.sets(st.integers(0, 40))


@given(st.lists(st.one_of(st.tuples(SLOTS, st.integers(0, 70)), st.integers(0, 40)), max_size=12), st.integers(1, 200))
def test_it_counts_what_one_by_one_would_count(steps: list[tuple[set[int], int] | int], least: int) -> None:
    tally, truth = Tally(), Counter[int]()
    for step in steps:
        if isinstance(step, int):
            assert tally.take(step) == truth.pop(step, 0)
        else:
            slots, times = step
            tally.add(BitMap(slots), times)
            truth.update(dict.fromkeys(slots, times))

    assert [tally.count(slot) for slot in range(41)] == [truth[slot] for slot in range(41)]
    assert set(tally.at_least(least)) == {slot for slot, times in truth.items() if times >= least}


def test_what_is_counted_stays_the_callers() -> None:
    tally, slots = Tally(), BitMap([1, 2])
    tally.add(slots, 1)

    tally.take(1)

    assert set(slots) == {1, 2}
