"""Group the slots that match the same items of a batch. A slot stands for one channel of one connection.

All slots of a group are sent the same bytes, which contain all items of the group. So the bytes are built once for each
group, and each slot is written to only once. Groups are found by splitting whole bitmaps of slots. With more than 32
groups (`_MANY`), they are found by processing the slots one by one instead.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pyroaring import BitMap

# With more groups than this, splitting bitmaps costs more than processing the slots one by one.
_MANY = 32


class SlotGroup(NamedTuple):
    """Slots that match exactly the same items of a batch. `items` has the indexes of these items in the batch, in
    ascending order.
    """

    slots: BitMap
    items: tuple[int, ...]


def group_by_items(recipients: Sequence[BitMap]) -> list[SlotGroup]:
    """Return the slots grouped by the items that they match. `recipients` has one bitmap for each item of the batch,
    with the slots that match the item. A slot that matches no item is in no group.
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
