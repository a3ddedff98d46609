"""The time of one decision beside the original's loop, and its growth to a million filters.

    python -m bench.matching [filters]

Filters are realistic: a few popular words, accounts and feeds and a long tail of rare ones, so that an item matches
some 2 % of them. The index is compared with the reference matcher (app/core/filters/matching.py).
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from app.core.filters.analysis import analyze_item
from app.core.filters.filter import Filter
from app.core.filters.filter_index import FilterIndex
from app.core.filters.matching import why_not
from app.core.news.item import Category, NewsItem, Source
from bench.peers.original_filter import wants
from tests.support.items import item

FEW, SOME, MANY = 10_000, 20_000, 1_000_000
ITEMS, LOOP_ITEMS, CHECKED_ITEMS = 60, 5, 2
UPDATES = 2_000
_WORDS, _PHRASES, _ACCOUNTS, _FEEDS = 20_000, 2_000, 2_000, 200
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_CATEGORIES = [category.value for category in Category]


class Deciding(NamedTuple):
    """Medians: µs an item for the index of some, few and many filters, and for the original's loop over some.

    Then at many: their number, µs to replace a filter, ns a recipient to iterate over them, and the share that matched.
    """

    index_us: float
    loop_us: float
    few_us: float
    many_us: float
    filters: int
    update_us: float
    iterate_ns: float
    matched: float

    @property
    def times_faster(self) -> float:
        return self.loop_us / self.index_us

    @property
    def growth(self) -> float:
        return self.many_us / self.few_us


class World:
    """Words, accounts and feeds, and what is made of them; the same in every run."""

    def __init__(self) -> None:
        self._random = random.Random(7)  # noqa: S311 - the same filters every time
        words = [self._word() for _ in range(2 * (_WORDS + _PHRASES))]
        self._words = words[:_WORDS]
        self._phrases = [f"{one} {other}" for one, other in zip(words[_WORDS:], words[-_PHRASES:], strict=False)]
        self._phrases = self._phrases[:_PHRASES]
        self._rare = words
        self._accounts = [f"@acct{number}" for number in range(_ACCOUNTS)]
        self._feeds = [f"feed {number}" for number in range(_FEEDS)]

    def filter(self) -> Filter:
        """Make one user's filter."""
        chance = self._random.random
        return Filter(
            nitter_accounts=self._some(self._accounts, 5) if chance() > 0.35 else (),
            rss_feeds=self._some(self._feeds, 3) if chance() > 0.35 else (),
            categories=tuple(self._random.sample(_CATEGORIES, self._random.randint(1, 2))) if chance() > 0.08 else (),
            keywords=self._some(self._words + self._phrases, 4) if chance() > 0.03 else (),
            impact_threshold=self._random.randint(0, 100),
        )

    def item(self) -> NewsItem:
        """Make an item of a hundred words."""
        words = [
            self._popular(self._words) if self._random.random() < 0.15 else self._random.choice(self._rare)
            for _ in range(95)
        ]
        words[40:40] = self._random.sample(self._phrases, 2)
        is_nitter = self._random.random() < 0.7
        return item(
            source=Source.NITTER if is_nitter else Source.RSS,
            source_account=self._popular(self._accounts if is_nitter else self._feeds),
            category=Category(self._random.choice(_CATEGORIES)),
            impact_score=self._random.uniform(30, 95),
            title=" ".join(words[:14]),
            content=" ".join(words[14:]),
            tickers=("BTC", "SPY"),
        )

    def _word(self) -> str:
        return "".join(self._random.choices(_LETTERS, k=self._random.randint(3, 9)))

    def _some(self, names: Sequence[str], most: int) -> tuple[str, ...]:
        return tuple({self._popular(names) for _ in range(self._random.randint(1, most))})

    def _popular(self, names: Sequence[str]) -> str:
        """Choose one, the first of them most often (Zipf)."""
        return names[min(len(names) - 1, int(len(names) ** self._random.random()) - 1)]


def decide(many: int = MANY) -> Deciding:
    """Measure everything. Raises AssertionError if the index decides differently from the reference matcher."""
    world = World()
    items = [world.item() for _ in range(ITEMS)]
    for one in items:
        # The server has tokenized an item's texts before it is matched: to enrich it.
        analyze_item(one)
    filters = [world.filter() for _ in range(SOME)]
    index = FilterIndex()
    few_us = _fill_and_match(index, filters[:FEW], items)
    index_us = _fill_and_match(index, filters[FEW:], items)
    _check(index, filters, items[:CHECKED_ITEMS])
    loop_us = _median_us(_original(filters), [_as_dict(one) for one in items[:LOOP_ITEMS]])
    many_us = _fill_and_match(index, (world.filter() for _ in range(many - SOME)), items)
    matched = [index.match(one).recipients for one in items]
    iterate_ns = statistics.median(_seconds(list, found) * 1e9 / len(found) for found in matched if len(found))
    share = statistics.mean(map(len, matched)) / len(index)
    return Deciding(index_us, loop_us, few_us, many_us, len(index), _update_us(index, world), iterate_ns, share)


def _fill_and_match(index: FilterIndex, filters: Iterable[Filter], items: Sequence[NewsItem]) -> float:
    for slot, one in enumerate(filters, start=len(index)):
        index.put(slot, one)
    return _median_us(index.match, items)


def _check(index: FilterIndex, filters: Sequence[Filter], items: Sequence[NewsItem]) -> None:
    for one in items:
        recipients = [slot for slot, wanted in enumerate(filters) if why_not(one, wanted) is None]
        assert list(index.match(one).recipients) == recipients


def _original(filters: Sequence[Filter]) -> Callable[[dict[str, Any]], list[int]]:
    """Match as the original did: for each user the four columns of the row are parsed and compared."""
    rows = [
        (
            number,
            json.dumps(one.nitter_accounts),
            json.dumps(one.rss_feeds),
            json.dumps(one.categories),
            json.dumps(one.keywords),
            one.impact_threshold,
        )
        for number, one in enumerate(filters)
    ]
    return lambda news: [row[0] for row in rows if wants(row, news)]


def _as_dict(one: NewsItem) -> dict[str, Any]:
    names = ("source", "source_account", "category", "impact_score", "title", "content", "tickers")
    return {name: getattr(one, name) for name in names}


def _update_us(index: FilterIndex, world: World) -> float:
    changes = [(number * 7919 % len(index), world.filter()) for number in range(UPDATES)]
    return _median_us(lambda change: index.put(*change), changes)


def _median_us(work: Callable[[Any], object], values: Iterable[Any]) -> float:
    return statistics.median(_seconds(work, value) * 1e6 for value in values)


def _seconds(work: Callable[[Any], object], value: object) -> float:
    began = time.perf_counter()
    work(value)
    return time.perf_counter() - began


if __name__ == "__main__":
    for name, figure in decide(*map(int, sys.argv[1:]))._asdict().items():
        sys.stdout.write(f"{name}: {figure:,.3f}\n")
