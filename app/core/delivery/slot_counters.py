"""How many of something each slot had. This file owns counters of thousands of slots that are moved in one go.

The counters lie on their side: the first bitmap has the slots whose count is odd, the next those whose count has a two
in it, and so on. So one more for any number of slots is an addition with carry over a few bitmaps, not a step for each.
"""

from pyroaring import BitMap


class SlotCounters:
    """A count for each slot; 0 where nothing was counted."""

    def __init__(self) -> None:
        self._planes: list[BitMap] = []

    def add(self, slots: BitMap, times: int) -> None:
        """Count so many more for each of these slots."""
        for place in range(times.bit_length()):
            if times >> place & 1:
                self._carry(slots, place)

    def _carry(self, slots: BitMap, place: int) -> None:
        while slots:
            while place >= len(self._planes):
                self._planes.append(BitMap())
            plane = self._planes[place]
            self._planes[place], slots = plane ^ slots, plane & slots
            place += 1

    def count(self, slot: int) -> int:
        """Give one slot's count."""
        return sum(1 << place for place, plane in enumerate(self._planes) if slot in plane)

    def pop(self, slot: int) -> int:
        """Give one slot's count, and begin it at 0 again."""
        counted = self.count(slot)
        for plane in self._planes:
            plane.discard(slot)
        return counted

    def clear(self, slots: BitMap) -> None:
        """Begin the counts of these slots at 0 again."""
        for plane in self._planes:
            plane -= slots

    def partition(self, slots: BitMap) -> list[tuple[int, BitMap]]:
        """Part slots by their count."""
        parts = [(0, slots)] if slots else []
        for place, plane in enumerate(self._planes):
            halves = (
                half for count, part in parts for half in ((count, part - plane), (count + (1 << place), part & plane))
            )
            parts = [half for half in halves if half[1]]
        return parts

    def at_least(self, least: int) -> BitMap:
        """Give the slots whose count is this or more; `least` is at least 1."""
        more, equal = BitMap(), BitMap.union(*self._planes) if self._planes else BitMap()
        for place in reversed(range(max(len(self._planes), least.bit_length()))):
            plane = self._planes[place] if place < len(self._planes) else BitMap()
            if least >> place & 1:
                equal &= plane
            else:
                more |= equal & plane
                equal -= plane
        return more | equal
