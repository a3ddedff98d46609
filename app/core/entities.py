"""What an item is about, by vocabulary. This file owns how tickers, people, tags and the category are read from a text.

The vocabularies are data (app/data/*.toml); `Vocabulary` finds all of their terms in one pass, by the same lexicon that
finds keywords. docs/scoring.md tells users how the tables are used.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple

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
        found = sorted({number for numbers in self._lexicon.hits(text) for number in numbers})
        return [self._senses[number] for number in found]


class CategoryRule(NamedTuple):
    """When a category is certain enough: least points, and how many times the runner-up's."""

    threshold: float
    margin: float


class Findings(NamedTuple):
    """The senses found in an item; a sense found in the title is not repeated for the content."""

    title: tuple[Sense, ...]
    content: tuple[Sense, ...]

    def points(self, kind: Kind) -> list[float]:
        """Give each name's points once, halved where it stands in the content only."""
        best: dict[str, float] = {}
        for senses, divisor in ((self.title, 1), (self.content, TITLE_FACTOR)):
            for sense in senses:
                if sense.kind is kind:
                    best[sense.label] = max(best.get(sense.label, 0.0), sense.points / divisor)
        return list(best.values())

    def labels(self, kind: Kind) -> tuple[str, ...]:
        labels = (sense.label for sense in (*self.title, *self.content) if sense.kind is kind)
        return tuple(dict.fromkeys(labels))[:MAX_NAMES]


def find(vocabulary: Vocabulary, title: Text, content: Text) -> Findings:
    """Look a title and a content up in the vocabulary."""
    in_title = vocabulary.senses(title)
    seen = set(in_title)
    in_content = [sense for sense in vocabulary.senses(content) if sense not in seen]
    return Findings(tuple(in_title), tuple(in_content))


def tickers(findings: Findings, title: str, content: str) -> tuple[str, ...]:
    """Give the symbols that are named or stand as cashtags ($BTC), cashtags first."""
    cashtags = _CASHTAG.findall(f"{title}\n{content}")
    return tuple(dict.fromkeys([*cashtags, *findings.labels(Kind.TICKER)]))[:MAX_NAMES]


def category(findings: Findings, rule: CategoryRule) -> Category:
    """Give the category with the most points, `other` where none is certain enough."""
    points: dict[str, float] = defaultdict(float)
    for senses, factor in ((findings.title, TITLE_FACTOR), (findings.content, 1)):
        for sense in senses:
            if sense.kind is Kind.CATEGORY:
                points[sense.label] += sense.points * factor
    ranking = sorted(points.items(), key=itemgetter(1), reverse=True)
    if not ranking:
        return Category.OTHER
    best, most = ranking[0]
    runner_up = ranking[1][1] if len(ranking) > 1 else 0.0
    return Category(best) if most >= rule.threshold and most >= rule.margin * runner_up else Category.OTHER
