"""An index of phrases, and of substrings in scripts without spaces between words, which are phrases of characters."""

from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple

from pyroaring import BitMap

from app.core.text.postings import distinct
from app.core.text.prefix_index import Stems

Units = tuple[str, ...] | str
"""The units of a phrase: a tuple of words, or a string whose units are its characters."""

# If phrases may begin at more places of a text than this, the text is probably repetitive.
_MANY_STARTS = 256


class Phrase(NamedTuple):
    """A phrase to look for. If `stem` is not empty, the units are followed by a word that begins with the stem."""

    units: Units
    stem: str = ""


class _Node:
    """A node of a `PhraseTrie`. The units from the root to the node are the beginning of listed phrases.

    `slots` are the slots that listed the phrase that ends here, if there is one. `stems` has the phrases that have one
    more word, which is a prefix.
    """

    __slots__ = ("children", "slots", "stems")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.slots = BitMap()
        self.stems: Stems | None = None

    @property
    def is_unused(self) -> bool:
        return not (self.children or self.slots or self.stems)


class PhraseTrie:
    """An index of phrases of two or more units, which are words or characters. The last word of a phrase may be a
    prefix.

    A lookup walks down the trie from every unit of the text that begins a listed phrase. So its cost is at most the
    length of the text times that of the longest phrase, whatever the number of phrases.
    """

    __slots__ = ("_longest", "_phrases", "_root")

    def __init__(self) -> None:
        self._root = _Node()
        self._phrases = 0
        # The length of the longest phrase ever added, in units; removals do not lower it.
        self._longest = 0

    def __len__(self) -> int:
        return self._phrases

    def add(self, phrase: Phrase, slot: int) -> None:
        node = self._root
        for unit in phrase.units:
            if unit not in node.children:
                node.children[unit] = _Node()
            node = node.children[unit]
        self._longest = max(self._longest, len(phrase.units) + bool(phrase.stem))
        if phrase.stem:
            node.stems = node.stems or Stems()
            self._phrases += node.stems.add(phrase.stem, slot)
        else:
            self._phrases += not node.slots
            node.slots.add(slot)

    def discard(self, phrase: Phrase, slot: int) -> None:
        path = [self._root]
        for unit in phrase.units:
            path.append(path[-1].children[unit])
        node = path[-1]
        if node.stems and phrase.stem:
            self._phrases -= node.stems.discard(phrase.stem, slot)
        else:
            node.slots.discard(slot)
            self._phrases -= not node.slots
        for unit in reversed(phrase.units):
            if not path.pop().is_unused:
                return
            del path[-1].children[unit]

    def lookup(self, units: Units) -> list[BitMap]:
        begin = self._root.children
        if not begin:
            return []
        # A phrase has two units at least. Most places are ruled out by a look at both, which is fast.
        starts: Collection[int] = [
            start
            for start, (unit, following) in enumerate(pairwise(units))
            if unit in begin and (following in begin[unit].children or begin[unit].stems)
        ]
        if len(starts) > _MANY_STARTS:
            # A text that repeats itself is walked only once.
            starts = {units[start : start + self._longest]: start for start in starts}.values()
        return distinct(slots for start in starts for slots in self._walk(units[start : start + self._longest]))

    def _walk(self, units: Units) -> list[BitMap]:
        """Return the posting lists of the listed phrases with which these units begin."""
        found: list[BitMap] = []
        node = self._root
        for unit in units:
            if node.stems:
                found += node.stems.lookup(unit)
            following = node.children.get(unit)
            if following is None:
                break
            node = following
            if node.slots:
                found.append(node.slots)
        return found
