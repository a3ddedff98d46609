"""What an item is about, by vocabulary: the tickers, people, tags and category found in a text.

The vocabularies are data (app/data/*.toml). `Vocabulary` finds all of their terms in one pass, with the same index that
finds keywords. docs/scoring.md explains the tables to users.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple

from pyroaring import BitMap

from app.core.news.item import Category
from app.core.text.term_index import TermIndex
from app.core.text.words import Text, parse_term

MAX_NAMES = 50
TITLE_FACTOR = 2

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Z]{1,6}(?:\.[A-Z])?)(?![\w$])")


class EntryKind(StrEnum):
    """The table that a term comes from."""

    CATEGORY = "category"
    TICKER = "ticker"
    PERSON = "person"
    TAG = "tag"
    IMPACT = "impact"
    RELEVANCE = "relevance"


class VocabularyEntry(NamedTuple):
    """What a term means: its table, the name it stands for ("sports", "BTC", "Jerome Powell", "etf"),
    and its points.
    """

    term: str
    kind: EntryKind
    label: str
    points: float


class Vocabulary:
    """Terms and their entries. A term may have several entries, and a name several terms."""

    def __init__(self, entries: Iterable[VocabularyEntry]) -> None:
        self._terms = TermIndex()
        self._entries = list(entries)
        for number, entry in enumerate(self._entries):
            term = parse_term(entry.term)
            if term is None:
                raise ValueError(f"{entry.term!r} has no letter or digit")
            self._terms.add(term, number)

    def entries(self, text: Text) -> list[VocabularyEntry]:
        """Return the entry of every term that occurs in a text, in the order of the tables."""
        return self.entries_of(self.entry_ids(text))

    def entry_ids(self, text: Text) -> BitMap:
        """Return the ids of these entries, which are in order and quickly compared."""
        return BitMap.union(BitMap(), *self._terms.lookup(text))

    def entries_of(self, numbers: BitMap) -> list[VocabularyEntry]:
        """Return the entries with these ids."""
        return [self._entries[number] for number in numbers.to_array()]


class CategoryRule(NamedTuple):
    """When a category is certain enough: the least points, and how many times the points of the runner-up."""

    threshold: float
    margin: float


class EntityMatches:
    """The entries found in an item, by kind. An entry found in the title is not repeated for the content."""

    __slots__ = ("_by_kind",)

    def __init__(self, title: Iterable[VocabularyEntry], content: Iterable[VocabularyEntry]) -> None:
        # Each entry with the divisor of its points: 1, or TITLE_FACTOR if it occurs in the content only.
        self._by_kind: dict[EntryKind, list[tuple[VocabularyEntry, int]]] = {}
        for entries, divisor in ((title, 1), (content, TITLE_FACTOR)):
            for entry in entries:
                self._by_kind.setdefault(entry.kind, []).append((entry, divisor))

    def of_kind(self, kind: EntryKind) -> Sequence[tuple[VocabularyEntry, int]]:
        """Return the entries of a kind, those of the title first, each with the divisor of its points."""
        return self._by_kind.get(kind, ())

    def points(self, kind: EntryKind) -> list[float]:
        """Return the points of each name once, divided if it occurs in the content only."""
        best: dict[str, float] = {}
        for entry, divisor in self.of_kind(kind):
            best[entry.label] = max(best.get(entry.label, 0.0), entry.points / divisor)
        return list(best.values())

    def labels(self, kind: EntryKind) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.label for entry, _ in self.of_kind(kind)))[:MAX_NAMES]


def find_entities(vocabulary: Vocabulary, title: Text, content: Text) -> EntityMatches:
    """Look up a title and a content in a vocabulary."""
    in_title = vocabulary.entry_ids(title)
    in_content = vocabulary.entry_ids(content) - in_title
    return EntityMatches(vocabulary.entries_of(in_title), vocabulary.entries_of(in_content))


def find_tickers(matches: EntityMatches, title: str, content: str) -> tuple[str, ...]:
    """Return the symbols that are named or occur as cashtags ($BTC), cashtags first."""
    text = f"{title}\n{content}"
    cashtags = _CASHTAG.findall(text) if "$" in text else ()
    return tuple(dict.fromkeys([*cashtags, *matches.labels(EntryKind.TICKER)]))[:MAX_NAMES]


def choose_category(matches: EntityMatches, rule: CategoryRule) -> Category:
    """Return the category with the most points, `other` if none is certain enough."""
    points: dict[str, float] = defaultdict(float)
    for entry, divisor in matches.of_kind(EntryKind.CATEGORY):
        points[entry.label] += entry.points * TITLE_FACTOR / divisor
    ranking = sorted(points.items(), key=itemgetter(1), reverse=True)
    if not ranking:
        return Category.OTHER
    best, most = ranking[0]
    runner_up = ranking[1][1] if len(ranking) > 1 else 0.0
    return Category(best) if most >= rule.threshold and most >= rule.margin * runner_up else Category.OTHER
