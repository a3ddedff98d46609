"""Keep a counter for each slot, and change the counters of thousands of slots in one operation.

The counters are bit-sliced: the first bitmap has the slots whose count has bit 0 set, the second those with bit 1 set,
and so on. Adding to any number of slots is one addition with carry over a few bitmaps, not one step for each slot.
"""

from pyroaring import BitMap


class SlotCounters:
    """A count for each slot; every count starts at 0."""

    def __init__(self) -> None:
        self._planes: list[BitMap] = []

    def add(self, slots: BitMap, increment: int) -> None:
        """Add `increment` to the count of each of these slots."""
        for position in range(increment.bit_length()):
            if increment >> position & 1:
                self._carry(slots, position)

    def _carry(self, slots: BitMap, position: int) -> None:
        while slots:
            while position >= len(self._planes):
                self._planes.append(BitMap())
            plane = self._planes[position]
            self._planes[position], slots = plane ^ slots, plane & slots
            position += 1

    def count(self, slot: int) -> int:
        """Return the count of one slot."""
        return sum(1 << position for position, plane in enumerate(self._planes) if slot in plane)

    def pop(self, slot: int) -> int:
        """Return the count of one slot and reset it to 0."""
        counted = self.count(slot)
        for plane in self._planes:
            plane.discard(slot)
        return counted

    def clear(self, slots: BitMap) -> None:
        """Reset the counts of these slots to 0."""
        for plane in self._planes:
            plane -= slots

    def partition(self, slots: BitMap) -> list[tuple[int, BitMap]]:
        """Return a pair for each count: the count, and those of `slots` that have it."""
        parts = [(0, slots)] if slots else []
        for position, plane in enumerate(self._planes):
            halves = (
                half
                for count, part in parts
                for half in ((count, part - plane), (count + (1 << position), part & plane))
            )
            parts = [half for half in halves if half[1]]
        return parts

    def at_least(self, minimum: int) -> BitMap:
        """Return the slots whose count is at least `minimum`. `minimum` must be 1 or more, because slots with a count
        of 0 are not stored.
        """
        more, equal = BitMap(), BitMap.union(*self._planes) if self._planes else BitMap()
        for position in reversed(range(max(len(self._planes), minimum.bit_length()))):
            plane = self._planes[position] if position < len(self._planes) else BitMap()
            if minimum >> position & 1:
                equal &= plane
            else:
                more |= equal & plane
                equal -= plane
        return more | equal
