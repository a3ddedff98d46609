"""Near-duplicate texts. This file owns when two items tell the same story in nearly the same words.

A text becomes the set of its three-word shingles; two texts are near when their sets overlap by 60 % (Jaccard).
Candidates are found by bottom-k sketches (Broder 1997): texts that near share most of their smallest shingle hashes,
so only items with a hash in common are compared, whatever the number remembered.
"""

import zlib
from collections import OrderedDict
from typing import NamedTuple

from app.core.text import read

MEMORY_ITEMS = 5_000
MEMORY_S = 48 * 3600.0
NEAR = 0.6
MIN_WORDS = 8

_SHINGLE_WORDS = 3
_SKETCH_HASHES = 12


class _Story(NamedTuple):
    shingles: frozenset[int]
    sketch: tuple[int, ...]
    published_at: float


class RecentStories:
    """What was published lately, searchable by likeness. Times are the items' own, Unix seconds."""

    def __init__(self) -> None:
        self._stories: OrderedDict[str, _Story] = OrderedDict()
        self._holders: dict[int, set[str]] = {}

    def nearest(self, item_id: str, title: str, content: str, published_at: float) -> str | None:
        """Name the remembered item that this one repeats, and remember this one. Short texts repeat nothing."""
        shingles = _shingles(title, content)
        if not shingles:
            return None
        story = _Story(shingles, tuple(sorted(shingles)[:_SKETCH_HASHES]), published_at)
        near = self._find(item_id, story)
        self._remember(item_id, story)
        return near

    def _find(self, item_id: str, story: _Story) -> str | None:
        candidates = {holder for value in story.sketch for holder in self._holders.get(value, ())} - {item_id}
        likeness = ((_jaccard(story.shingles, self._stories[other].shingles), other) for other in candidates)
        near = [
            (score, other)
            for score, other in likeness
            if score >= NEAR and abs(self._stories[other].published_at - story.published_at) <= MEMORY_S
        ]
        return max(near)[1] if near else None

    def _remember(self, item_id: str, story: _Story) -> None:
        self._forget(item_id)
        self._stories[item_id] = story
        for value in story.sketch:
            self._holders.setdefault(value, set()).add(item_id)
        if len(self._stories) > MEMORY_ITEMS:
            self._forget(next(iter(self._stories)))

    def _forget(self, item_id: str) -> None:
        story = self._stories.pop(item_id, None)
        for value in story.sketch if story else ():
            self._holders[value].discard(item_id)
            if not self._holders[value]:
                del self._holders[value]


def _shingles(title: str, content: str) -> frozenset[int]:
    words = read(title).words + read(content).words
    if len(words) < MIN_WORDS:
        return frozenset()
    runs = zip(words, words[1:], words[2:], strict=False)
    return frozenset(zlib.crc32(" ".join(run).encode()) for run in runs)


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)
