"""What an item is about, by vocabulary. This file owns how tickers, people, tags and the category are read from a text.

The vocabularies are data (app/data/*.toml); `Vocabulary` finds all of their terms in one pass, by the same lexicon that
finds keywords. docs/scoring.md tells users how the tables are used.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple

from pyroaring import BitMap

from app.core.lexicon import Lexicon
from app.core.news import Category
from app.core.text import Text, parse_term

MAX_NAMES = 50
TITLE_FACTOR = 2

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Z]{1,6}(?:\.[A-Z])?)(?![\w$])")


class Kind(StrEnum):
    """Which table a term comes from."""

    CATEGORY = "category"
    TICKER = "ticker"
    PERSON = "person"
    TAG = "tag"
    IMPACT = "impact"
    RELEVANCE = "relevance"


class Sense(NamedTuple):
    """What a term means: the table, the name it stands for ("sports", "BTC", "Jerome Powell", "etf"), its points."""

    term: str
    kind: Kind
    label: str
    points: float


class Vocabulary:
    """Terms and their senses; a term may have several, a sense several terms."""

    def __init__(self, senses: Iterable[Sense]) -> None:
        self._lexicon = Lexicon()
        self._senses = list(senses)
        for number, sense in enumerate(self._senses):
            term = parse_term(sense.term)
            if term is None:
                raise ValueError(f"{sense.term!r} has no letter or digit")
            self._lexicon.add(term, number)

    def senses(self, text: Text) -> list[Sense]:
        """Give the sense of every term that stands in the text, in the order of the tables."""
        return self.named(self.numbers(text))

    def numbers(self, text: Text) -> BitMap:
        """Give the numbers of these senses, by which they are in order and quickly compared."""
        return BitMap.union(BitMap(), *self._lexicon.hits(text))

    def named(self, numbers: BitMap) -> list[Sense]:
        """Give the senses of these numbers."""
        return [self._senses[number] for number in numbers.to_array()]


class CategoryRule(NamedTuple):
    """When a category is certain enough: least points, and how many times the runner-up's."""

    threshold: float
    margin: float


class Findings:
    """The senses found in an item, by kind; one found in the title is not repeated for the content."""

    __slots__ = ("_by_kind",)

    def __init__(self, title: Iterable[Sense], content: Iterable[Sense]) -> None:
        # With each sense what divides its points: 1, or TITLE_FACTOR where it stands in the content only.
        self._by_kind: dict[Kind, list[tuple[Sense, int]]] = {}
        for senses, divisor in ((title, 1), (content, TITLE_FACTOR)):
            for sense in senses:
                self._by_kind.setdefault(sense.kind, []).append((sense, divisor))

    def of(self, kind: Kind) -> Sequence[tuple[Sense, int]]:
        """Give the senses of a kind, the title's first, each with what divides its points."""
        return self._by_kind.get(kind, ())

    def points(self, kind: Kind) -> list[float]:
        """Give each name's points once, divided where it stands in the content only."""
        best: dict[str, float] = {}
        for sense, divisor in self.of(kind):
            best[sense.label] = max(best.get(sense.label, 0.0), sense.points / divisor)
        return list(best.values())

    def labels(self, kind: Kind) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sense.label for sense, _ in self.of(kind)))[:MAX_NAMES]


def find(vocabulary: Vocabulary, title: Text, content: Text) -> Findings:
    """Look a title and a content up in the vocabulary."""
    in_title = vocabulary.numbers(title)
    in_content = vocabulary.numbers(content) - in_title
    return Findings(vocabulary.named(in_title), vocabulary.named(in_content))


def tickers(findings: Findings, title: str, content: str) -> tuple[str, ...]:
    """Give the symbols that are named or stand as cashtags ($BTC), cashtags first."""
    text = f"{title}\n{content}"
    cashtags = _CASHTAG.findall(text) if "$" in text else ()
    return tuple(dict.fromkeys([*cashtags, *findings.labels(Kind.TICKER)]))[:MAX_NAMES]


def category(findings: Findings, rule: CategoryRule) -> Category:
    """Give the category with the most points, `other` where none is certain enough."""
    points: dict[str, float] = defaultdict(float)
    for sense, divisor in findings.of(Kind.CATEGORY):
        points[sense.label] += sense.points * TITLE_FACTOR / divisor
    ranking = sorted(points.items(), key=itemgetter(1), reverse=True)
    if not ranking:
        return Category.OTHER
    best, most = ranking[0]
    runner_up = ranking[1][1] if len(ranking) > 1 else 0.0
    return Category(best) if most >= rule.threshold and most >= rule.margin * runner_up else Category.OTHER
