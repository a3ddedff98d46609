"""Find what an item is about. Its text is searched for the terms of a vocabulary, which stand for tickers, people, tags
and categories.

The vocabularies are data, stored as tables of terms in app/data/*.toml; docs/scoring.md explains them to users.
`Vocabulary` finds all of its terms in one pass, with the same index that finds the keywords of filters.
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
    """The kind of a vocabulary entry: which table of the vocabulary it comes from."""

    CATEGORY = "category"
    TICKER = "ticker"
    PERSON = "person"
    TAG = "tag"
    IMPACT = "impact"
    RELEVANCE = "relevance"


class VocabularyEntry(NamedTuple):
    """A term of a vocabulary and its meaning. `kind` is the table that it comes from. `label` is what the term stands
    for ("sports", "BTC", "Jerome Powell", "etf"). `points` is 0 in tables without points.
    """

    term: str
    kind: EntryKind
    label: str
    points: float


class Vocabulary:
    """A list of terms with their meanings, which can be found in texts. Several entries may have the same term, and
    several terms may stand for the same name. The constructor raises ValueError for a term that can never be found.
    """

    def __init__(self, entries: Iterable[VocabularyEntry]) -> None:
        self._terms = TermIndex()
        self._entries = list(entries)
        for number, entry in enumerate(self._entries):
            term = parse_term(entry.term)
            if term is None:
                raise ValueError(f"{entry.term!r} has no letter or digit")
            self._terms.add(term, number)

    def entries(self, text: Text) -> list[VocabularyEntry]:
        """Return every entry whose term occurs in a text, in the order in which the entries were passed to the
        constructor.
        """
        return self.entries_of(self.entry_ids(text))

    def entry_ids(self, text: Text) -> BitMap:
        """Return the ids of the entries whose terms occur in a text. An id is the position of an entry in the
        constructor's argument. The result is a bitmap, because it yields ids in ascending order and the ids of two
        texts can be subtracted quickly.
        """
        return BitMap.union(BitMap(), *self._terms.lookup(text))

    def entries_of(self, numbers: BitMap) -> list[VocabularyEntry]:
        """Return the entries with these ids."""
        return [self._entries[number] for number in numbers.to_array()]


class CategoryRule(NamedTuple):
    """The rule for when a category is certain enough: it must have at least `threshold` points, and at least `margin`
    times the points of the category with the second most points.
    """

    threshold: float
    margin: float


class EntityMatches:
    """The vocabulary entries that were found in an item, by kind. `title` has the entries found in the title, and
    `content` only those that were not found in the title as well.
    """

    __slots__ = ("_by_kind",)

    def __init__(self, title: Iterable[VocabularyEntry], content: Iterable[VocabularyEntry]) -> None:
        # The entries of each kind, each with the number by which its points are divided: 1, or TITLE_FACTOR if the
        # entry occurs in the content only.
        self._by_kind: dict[EntryKind, list[tuple[VocabularyEntry, int]]] = {}
        for entries, divisor in ((title, 1), (content, TITLE_FACTOR)):
            for entry in entries:
                self._by_kind.setdefault(entry.kind, []).append((entry, divisor))

    def of_kind(self, kind: EntryKind) -> Sequence[tuple[VocabularyEntry, int]]:
        """Return the entries of a kind, those of the title first. Each is paired with the number by which its points
        are divided.
        """
        return self._by_kind.get(kind, ())

    def points(self, kind: EntryKind) -> list[float]:
        """Return the points of each name of this kind that was found. The points of an entry that occurs only in the
        content are divided by TITLE_FACTOR. A name with several entries gets the highest result.
        """
        best: dict[str, float] = {}
        for entry, divisor in self.of_kind(kind):
            best[entry.label] = max(best.get(entry.label, 0.0), entry.points / divisor)
        return list(best.values())

    def labels(self, kind: EntryKind) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.label for entry, _ in self.of_kind(kind)))[:MAX_NAMES]


def find_entities(vocabulary: Vocabulary, title: Text, content: Text) -> EntityMatches:
    """Return the vocabulary entries whose terms occur in a title or a content. An entry that occurs in both counts for
    the title.
    """
    in_title = vocabulary.entry_ids(title)
    in_content = vocabulary.entry_ids(content) - in_title
    return EntityMatches(vocabulary.entries_of(in_title), vocabulary.entries_of(in_content))


def find_tickers(matches: EntityMatches, title: str, content: str) -> tuple[str, ...]:
    """Return at most MAX_NAMES ticker symbols: first the cashtags of the text (`BTC` for "$BTC"), then the tickers of
    the matched entries.
    """
    text = f"{title}\n{content}"
    cashtags = _CASHTAG.findall(text) if "$" in text else ()
    return tuple(dict.fromkeys([*cashtags, *matches.labels(EntryKind.TICKER)]))[:MAX_NAMES]


def normalize_tickers(symbols: Iterable[str]) -> tuple[str, ...]:
    """Return ticker symbols in the form in which they are found in texts: "$btc" and " BTC" both become "BTC". Those
    without a letter or digit are left out, and so are repetitions.
    """
    normal = (symbol.strip().lstrip("$#").upper() for symbol in symbols)
    return tuple(dict.fromkeys(filter(None, normal)))


def choose_category(matches: EntityMatches, rule: CategoryRule) -> Category:
    """Return the category with the most points, or `other` if that category is not certain enough under `rule`. Points
    count double for a term in the title.
    """
    points: dict[str, float] = defaultdict(float)
    for entry, divisor in matches.of_kind(EntryKind.CATEGORY):
        points[entry.label] += entry.points * TITLE_FACTOR / divisor
    ranking = sorted(points.items(), key=itemgetter(1), reverse=True)
    if not ranking:
        return Category.OTHER
    best, most = ranking[0]
    runner_up = ranking[1][1] if len(ranking) > 1 else 0.0
    return Category(best) if most >= rule.threshold and most >= rule.margin * runner_up else Category.OTHER
