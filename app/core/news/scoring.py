"""Compute the impact and relevance scores of an item, 0 to 100, which say how much it matters. They follow from rules,
without a model.

Evidence is combined by noisy-or: a piece of evidence with p points closes p % of the distance that remains to 100. So
evidence accumulates, its order does not matter, and no score exceeds 100. The whole range is used: a dull item from an
unknown source stays below 10, and an emergency rate cut from a wire service reaches the nineties. docs/scoring.md shows
worked examples, which are also tests.
"""

from collections.abc import Iterable
from typing import NamedTuple

from app.core.news.entities import EntityMatches, EntryKind
from app.core.news.item import Category

_PERSON_SHARE = 0.3
_TICKER_POINTS = 6.0
_MAX_TICKERS = 4
_CATEGORY_POINTS = 6.0
_RELEVANT_PERSON_SHARE = 0.4
_RELEVANT_TICKER_POINTS = 25.0
_RELEVANT_CATEGORY_POINTS = 20.0

# Pairs of an age in hours and a share: news up to this age keeps this share of its impact score. Older news keeps
# _STALE.
_FRESHNESS = ((6.0, 1.0), (24.0, 0.9), (48.0, 0.8), (168.0, 0.6))
_STALE = 0.5


class Scores(NamedTuple):
    """The impact score and the relevance score of an item, from 0 to 100 with one decimal."""

    impact: float
    relevance: float


def score(
    matches: EntityMatches, tickers: tuple[str, ...], category: Category, authority: float, age_s: float
) -> Scores:
    """Return the scores of an item. `authority` is the number of points of its source. `age_s` is the age of the news
    in seconds; it lowers only the impact score.
    """
    people = matches.points(EntryKind.PERSON)
    symbols = tickers[:_MAX_TICKERS]
    is_known = category is not Category.OTHER
    impact = _combine(
        [
            authority,
            *matches.points(EntryKind.IMPACT),
            *(points * _PERSON_SHARE for points in people),
            *(_TICKER_POINTS for _ in symbols),
            _CATEGORY_POINTS * is_known,
        ]
    )
    relevance = _combine(
        [
            *matches.points(EntryKind.RELEVANCE),
            *(points * _RELEVANT_PERSON_SHARE for points in people),
            *(_RELEVANT_TICKER_POINTS for _ in symbols),
            _RELEVANT_CATEGORY_POINTS * is_known,
        ]
    )
    return Scores(round(impact * freshness(age_s), 1), round(relevance, 1))


def freshness(age_s: float) -> float:
    """Return the share (0 to 1) of the impact score that remains for news of this age, in seconds."""
    return next((share for hours, share in _FRESHNESS if age_s <= hours * 3600), _STALE)


def _combine(points: Iterable[float]) -> float:
    left = 1.0
    for value in points:
        left *= 1.0 - value / 100.0
    return 100.0 * (1.0 - left)
