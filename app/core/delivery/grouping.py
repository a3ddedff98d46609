"""Group slots by the set of items that they match.

Slots that match the same items get the same bytes in one write, so the cost is the number of distinct sets, not of
items. If there are few sets, whole bitmaps are split; if there are many, the slots are looked at one by one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pyroaring import BitMap

# With more groups, splitting bitmaps costs more than looking at every slot.
_MANY = 32


class SlotGroup(NamedTuple):
    """Slots that match the same items, which are given by their positions, in order."""

    slots: BitMap
    items: tuple[int, ...]


def group_by_items(recipients: Sequence[BitMap]) -> list[SlotGroup]:
    """Group the slots by the items that they match; `recipients` has the slots of each item. Slots without an item are
    in no group.
    """
    if not recipients:
        return []
    groups: list[tuple[BitMap, tuple[int, ...]]] = [(BitMap.union(*recipients), ())]
    for position, slots in enumerate(recipients):
        if len(groups) > _MANY:
            return _one_by_one(recipients)
        groups = [half for group in groups for half in _split(group, slots, position)]
    return [SlotGroup(slots, items) for slots, items in groups if items]


def _split(
    group: tuple[BitMap, tuple[int, ...]], recipients: BitMap, position: int
) -> list[tuple[BitMap, tuple[int, ...]]]:
    slots, items = group
    halves = ((slots & recipients, (*items, position)), (slots - recipients, items))
    return [half for half in halves if half[0]]


def _one_by_one(recipients: Sequence[BitMap]) -> list[SlotGroup]:
    masks: dict[int, int] = {}
    for position, slots in enumerate(recipients):
        bit = 1 << position
        for slot in slots:
            masks[slot] = masks.get(slot, 0) | bit
    by_mask: dict[int, list[int]] = {}
    for slot, mask in masks.items():
        by_mask.setdefault(mask, []).append(slot)
    return [
        SlotGroup(BitMap(slots), tuple(position for position in range(len(recipients)) if mask >> position & 1))
        for mask, slots in by_mask.items()
    ]
