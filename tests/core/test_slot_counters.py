"""The counters against a dict that counts one by one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from app.core.delivery.slot_counters import SlotCounters

SLOTS = st.sets(st.integers(0, 40))


STEPS = st.one_of(st.tuples(SLOTS, st.integers(0, 70)), st.integers(0, 40), SLOTS)


@given(st.lists(STEPS, max_size=12), st.integers(1, 200), SLOTS)
def test_counters_agree_with_a_plain_dict(
    steps: list[tuple[set[int], int] | int | set[int]], least: int, some: set[int]
) -> None:
    tally, truth = SlotCounters(), Counter[int]()
    for step in steps:
        if isinstance(step, int):
            assert tally.pop(step) == truth.pop(step, 0)
        elif isinstance(step, set):
            tally.clear(BitMap(step))
            truth -= Counter({slot: truth[slot] for slot in step})
        else:
            slots, times = step
            tally.add(BitMap(slots), times)
            truth.update(dict.fromkeys(slots, times))

    assert [tally.count(slot) for slot in range(41)] == [truth[slot] for slot in range(41)]
    parts = tally.partition(BitMap(some))
    assert sorted(slot for _, part in parts for slot in part) == sorted(some)
    assert all(truth[slot] == count for count, part in parts for slot in part)
    assert len({count for count, _ in parts}) == len(parts)
    assert set(tally.at_least(least)) == {slot for slot, times in truth.items() if times >= least}


def test_counted_slots_stay_the_callers() -> None:
    tally, slots = SlotCounters(), BitMap([1, 2])
    tally.add(slots, 1)

    tally.pop(1)

    assert set(slots) == {1, 2}
