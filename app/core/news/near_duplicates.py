"""Near-duplicate detection: find the earlier item that tells the same story in nearly the same words.

A text becomes the set of its three-word shingles. Two texts are near-duplicates if their sets overlap by at least 60 %
(Jaccard). Candidates are found by bottom-k sketches (Broder 1997): texts that are this similar share most of their
smallest shingle hashes, so only items with hashes in common are compared, and the cost does not grow with the number of
items.
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
# The most candidates that are counted for one item. This bounds the cost if a publisher adds the same boilerplate to
# all of its items.
_MAX_COUNTED = 512


class _Fingerprint(NamedTuple):
    shingles: frozenset[int]
    sketch: tuple[int, ...]
    published_at: float


class NearDuplicateIndex:
    """The texts of up to MAX_ITEMS items, searchable by similarity; the text that was added first is dropped first.
    Times are when the items were published, in Unix seconds.
    """

    def __init__(self) -> None:
        self._fingerprints: OrderedDict[str, _Fingerprint] = OrderedDict()
        self._holders: dict[int, set[str]] = {}

    def find_or_add(self, item_id: str, title: Text, content: Text, published_at: float) -> str | None:
        """Return the id of the most similar item that this one repeats; if there is none, add this item and return
        None.

        Only items published at most MAX_AGE_S apart are compared. A text of fewer than MIN_WORDS words repeats nothing
        and is not added.
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
        """Remove an item that was not stored; an unknown one is ignored."""
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
        """Yield the ids of the items that hold a hash of the sketch, once for each such hash. Rare hashes come first; a
        hash that many items hold is boilerplate, so the search stops before the total exceeds _MAX_COUNTED.
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
    # Unlike the hashes of strings, those of tuples of integers are the same in every process; `map` and `zip` run in C.
    return frozenset(map(hash, zip(words, words[1:], words[2:], strict=False)))


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)
