"""Which slots want which of several items. This file owns parting slots by the set of items that they want.

Whoever wants the same items gets the same bytes in one write, so what counts is the number of distinct sets, not of
items. Most often there are few, and whole bitmaps are parted; where there are many, slots are looked at one by one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pyroaring import BitMap

# From here on parting bitmaps costs more than looking at every slot.
_MANY = 32


class SlotGroup(NamedTuple):
    """Slots that want the same items, which are named by their place, in order."""

    slots: BitMap
    items: tuple[int, ...]


def group_by_items(wanted: Sequence[BitMap]) -> list[SlotGroup]:
    """Part the slots by what they want; `wanted` has the slots of each item. Who wants nothing is in no group."""
    if not wanted:
        return []
    parted: list[tuple[BitMap, tuple[int, ...]]] = [(BitMap.union(*wanted), ())]
    for place, slots in enumerate(wanted):
        if len(parted) > _MANY:
            return _one_by_one(wanted)
        parted = [half for whole in parted for half in _split(whole, slots, place)]
    return [SlotGroup(slots, items) for slots, items in parted if items]


def _split(whole: tuple[BitMap, tuple[int, ...]], wanting: BitMap, place: int) -> list[tuple[BitMap, tuple[int, ...]]]:
    slots, items = whole
    halves = ((slots & wanting, (*items, place)), (slots - wanting, items))
    return [half for half in halves if half[0]]


def _one_by_one(wanted: Sequence[BitMap]) -> list[SlotGroup]:
    masks: dict[int, int] = {}
    for place, slots in enumerate(wanted):
        bit = 1 << place
        for slot in slots:
            masks[slot] = masks.get(slot, 0) | bit
    by_mask: dict[int, list[int]] = {}
    for slot, mask in masks.items():
        by_mask.setdefault(mask, []).append(slot)
    return [
        SlotGroup(BitMap(slots), tuple(place for place in range(len(wanted)) if mask >> place & 1))
        for mask, slots in by_mask.items()
    ]
