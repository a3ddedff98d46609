"""Near-duplicate detection: find the earlier item that tells the same story in nearly the same words.

A text is represented by its shingles: the set of its runs of three words, as hashes. Two texts are near-duplicates if
their sets overlap by at least 60 % (Jaccard). Candidates are found by bottom-k sketches (Broder 1997): the sketch of a
text is its smallest hashes. Texts that overlap by 60 % share most of their sketches. So an item is compared only with
items whose sketches share hashes with its own, and the cost does not grow with the number of items.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from app.core.text.words import Text

MAX_ITEMS = 5_000
MAX_AGE_S = 48 * 3600.0
MIN_SIMILARITY = 0.6
MIN_WORDS = 8

_SHINGLE_WORDS = 3
_SKETCH_HASHES = 12
# Near-duplicates share most of the hashes in their sketches. Fewer than this number in common are a coincidence.
_MIN_SHARED = 3
_MAX_CANDIDATES = 16
# For one new item, counting stops after this many hashes that it shares with earlier items, all of them together.
# Otherwise each item of a publisher that adds the same boilerplate to all of its items would be expensive.
_MAX_COUNTED = 512


class _Fingerprint(NamedTuple):
    shingles: frozenset[int]
    sketch: tuple[int, ...]
    published_at: float


class NearDuplicateIndex:
    """The texts of up to MAX_ITEMS items, searchable by similarity. When there are more, the text that was added first
    is dropped. All times are publication times, in Unix seconds.
    """

    def __init__(self) -> None:
        self._fingerprints: OrderedDict[str, _Fingerprint] = OrderedDict()
        self._holders: dict[int, set[str]] = {}

    def find_or_add(self, item_id: str, title: Text, content: Text, published_at: float) -> str | None:
        """Return the id of the item that this one repeats, or None if it repeats no other. If it repeats several items,
        return the id of the most similar one.

        Only items published at most MAX_AGE_S apart are compared. An item that repeats no other is added, unless it has
        fewer than MIN_WORDS words: such an item is not compared either.
        """
        shingles = _shingles(title, content)
        if not shingles:
            return None
        story = _Fingerprint(shingles, tuple(sorted(shingles)[:_SKETCH_HASHES]), published_at)
        near = self._find(item_id, story)
        if near is None:
            # Only the first item of a story is added and stands for the others, so that a story told a thousand times
            # is compared once.
            self._add(item_id, story)
        return near

    def remove(self, item_id: str) -> None:
        """Remove an item, such as one that was not stored. Does nothing if the id is unknown."""
        story = self._fingerprints.pop(item_id, None)
        for value in story.sketch if story else ():
            self._holders[value].discard(item_id)
            if not self._holders[value]:
                del self._holders[value]

    def _find(self, item_id: str, story: _Fingerprint) -> str | None:
        shared = Counter(self._candidates(story.sketch))
        del shared[item_id]
        near = [
            (score, other)
            for other, hashes in shared.most_common(_MAX_CANDIDATES)
            if hashes >= _MIN_SHARED
            and abs(self._fingerprints[other].published_at - story.published_at) <= MAX_AGE_S
            and (score := _jaccard(story.shingles, self._fingerprints[other].shingles)) >= MIN_SIMILARITY
        ]
        return max(near)[1] if near else None

    def _candidates(self, sketch: tuple[int, ...]) -> Iterator[str]:
        """Yield the ids of the items whose sketches share hashes with this one, once for each shared hash. Rare hashes
        come first, because a hash that many items share is boilerplate. The search stops before the number of ids
        exceeds _MAX_COUNTED.
        """
        counted = 0
        for holders in sorted((self._holders.get(value, set()) for value in sketch), key=len):
            counted += len(holders)
            if counted > _MAX_COUNTED:
                return
            yield from holders

    def _add(self, item_id: str, story: _Fingerprint) -> None:
        self.remove(item_id)
        self._fingerprints[item_id] = story
        for value in story.sketch:
            self._holders.setdefault(value, set()).add(item_id)
        if len(self._fingerprints) > MAX_ITEMS:
            self.remove(next(iter(self._fingerprints)))


def _shingles(title: Text, content: Text) -> frozenset[int]:
    words = [crc32(word.encode()) for word in title.words + content.words]
    if len(words) < MIN_WORDS:
        return frozenset()
    # The hash of a tuple of integers is the same in every process, unlike the hash of a string. `map` and `zip` run in
    # C, so this is fast.
    return frozenset(map(hash, zip(words, words[1:], words[2:], strict=False)))


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)
