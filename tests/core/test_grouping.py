"""Slots grouped by the items that they match."""

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from app.core.delivery import grouping
from app.core.delivery.grouping import SlotGroup, group_by_items

few = st.lists(st.sets(st.integers(0, 40)).map(BitMap), max_size=6)
many = st.lists(st.sets(st.integers(0, 400), max_size=200).map(BitMap), min_size=5, max_size=10)


@given(few | many)
def test_every_slot_is_in_exactly_one_group(wanted: list[BitMap]) -> None:
    groups = group_by_items(wanted)

    by_slot: dict[int, tuple[int, ...]] = {}
    for slots, items in groups:
        for slot in slots:
            assert slot not in by_slot
            by_slot[slot] = items
    everybody = set().union(*wanted)
    assert by_slot == {slot: tuple(place for place, slots in enumerate(wanted) if slot in slots) for slot in everybody}
    assert len({items for _, items in groups}) == len(groups)


@given(many)
def test_slot_by_slot_grouping_is_equal(wanted: list[BitMap]) -> None:
    def sets(groups: list[SlotGroup]) -> set[tuple[tuple[int, ...], frozenset[int]]]:
        return {(items, frozenset(slots)) for slots, items in groups}

    whole = group_by_items(wanted)
    one_by_one = grouping._one_by_one(wanted)

    assert sets(whole) == sets(one_by_one)


def test_one_item_is_one_group() -> None:
    assert group_by_items([]) == []
    assert group_by_items([BitMap()]) == []
    [only] = group_by_items([BitMap([3, 5])])
    assert (list(only.slots), only.items) == ([3, 5], (0,))


def test_many_distinct_sets_are_grouped_slot_by_slot() -> None:
    wanted = [BitMap(slot for slot in range(256) if slot >> place & 1) for place in range(8)]

    groups = group_by_items(wanted)

    assert len(groups) == 255
    assert all(list(slots) == [sum(1 << place for place in items)] for slots, items in groups)
