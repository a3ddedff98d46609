"""An index of the prefixes of words. A lookup slices the words of a text, so its cost does not depend on the number of
prefixes.
"""

from bisect import bisect_right
from collections import Counter

from pyroaring import BitMap

from app.core.text.postings import PostingLists

# The number of letters in the head of a prefix. Few words of a text begin with the head of a listed prefix, so heads
# are looked up first, and whole prefixes only for these words.
_HEAD = 3


class Stems:
    """The listed prefixes of words, and the slots that listed them: the prefix "fed*" is stored as the stem "fed"."""

    __slots__ = ("_counts", "_lengths", "_slots")

    def __init__(self) -> None:
        self._slots: PostingLists[str] = PostingLists()
        # How many stems there are of each length, and these lengths in ascending order.
        self._counts: Counter[int] = Counter()
        self._lengths: list[int] = []

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, stem: str, slot: int) -> bool:
        """Add a slot to the posting list of a stem; return whether the stem is new."""
        is_new = self._slots.add(stem, slot)
        if is_new:
            self._count(len(stem), 1)
        return is_new

    def discard(self, stem: str, slot: int) -> bool:
        """Remove a slot from the posting list of a stem; return whether the list became empty and the stem was deleted.
        Raises KeyError for an unknown stem.
        """
        is_gone = self._slots.discard(stem, slot)
        if is_gone:
            self._count(len(stem), -1)
        return is_gone

    def lookup(self, word: str) -> list[BitMap]:
        """Return the posting lists of the stems with which a word begins. No more slices of the word are looked up than
        it has letters.
        """
        return self._slots.lookup(word[:size] for size in self._lengths[: bisect_right(self._lengths, len(word))])

    def _count(self, length: int, change: int) -> None:
        self._counts[length] += change
        if self._counts[length] <= 0:
            del self._counts[length]
        if len(self._counts) != len(self._lengths):
            self._lengths = sorted(self._counts)


class PrefixIndex:
    """An index of terms that are a prefix of one word. The lengths of the stems are kept by their heads, their first
    _HEAD letters; a shorter stem is its own head.
    """

    __slots__ = ("_head_counts", "_lengths", "_slots")

    def __init__(self) -> None:
        self._slots: PostingLists[str] = PostingLists()
        # How many stems there are by head and length, and how many stems have heads of each length.
        self._lengths: dict[str, Counter[int]] = {}
        self._head_counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, stem: str, slot: int) -> None:
        if self._slots.add(stem, slot):
            self._lengths.setdefault(stem[:_HEAD], Counter())[len(stem)] += 1
            self._head_counts[min(len(stem), _HEAD)] += 1

    def discard(self, stem: str, slot: int) -> None:
        if self._slots.discard(stem, slot):
            head = stem[:_HEAD]
            self._lengths[head][len(stem)] -= 1
            self._lengths[head] = +self._lengths[head]
            if not self._lengths[head]:
                del self._lengths[head]
            self._head_counts[len(head)] -= 1
            self._head_counts = +self._head_counts

    def lookup(self, vocabulary: frozenset[str]) -> list[BitMap]:
        lengths = self._lengths
        stems = {
            word[:size]
            for head_size in self._head_counts
            for word in vocabulary
            # A word that is shorter than the head is looked up as a whole, once for each longer size of heads.
            if (head := word[:head_size]) in lengths
            for size in lengths[head]
            # No more slices are made of a word than it has letters.
            if size <= len(word)
        }
        return self._slots.lookup(self._slots.postings.keys() & stems) if stems else []
