"""Map keys to posting lists. A posting list is the set of the slots that listed a key, as a compressed bitmap."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from pyroaring import BitMap

Key = TypeVar("Key", bound=Hashable)


class PostingLists(Generic[Key]):
    """A map from each key to its posting list, which holds the slots that listed the key. A list that becomes empty is
    deleted, so that memory does not grow as slots come and go.
    """

    __slots__ = ("postings",)

    def __init__(self) -> None:
        self.postings: dict[Key, BitMap] = {}

    def __len__(self) -> int:
        return len(self.postings)

    def add(self, key: Key, slot: int) -> bool:
        """Add a slot to the posting list of a key; return whether the key is new."""
        slots = self.postings.get(key)
        if slots is None:
            self.postings[key] = BitMap((slot,))
            return True
        slots.add(slot)
        return False

    def discard(self, key: Key, slot: int) -> bool:
        """Remove a slot from a key's posting list; return whether the list became empty and the key was deleted. Raises
        KeyError for an unknown key.
        """
        slots = self.postings[key]
        slots.discard(slot)
        if slots:
            return False
        del self.postings[key]
        return True

    def lookup(self, keys: Iterable[Key]) -> list[BitMap]:
        """Return the posting lists of those keys that are in the map. The caller must not change the lists, because
        they are not copies.
        """
        return [slots for key in keys if (slots := self.postings.get(key)) is not None]


def distinct(found: Iterable[BitMap]) -> list[BitMap]:
    """Return the posting lists without those that are the same object as an earlier one."""
    return list({id(slots): slots for slots in found}.values())
