"""Why an item did or did not match a filter, step by step. This file owns what each step wanted and what it got.

Every step is asked, also behind the first that rejects: who mends one condition wants to know about the next.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import analyze_item, compile_filter
from app.core.filters.filter import Filter
from app.core.filters.matching import STEPS, Outcome, may_see_category, may_see_source
from app.core.news.item import NewsItem, Source

# Wire words to wire values, for people to read.
Values = dict[str, object]


class FilterStep(NamedTuple):
    """One step over one item: whether it lets the item through, what the filter says, what the item has."""

    step: Outcome
    is_met: bool
    want: Values
    got: Values


class FilterVerdict(NamedTuple):
    """What a filter says to an item: matched, or the first step that rejects; and each step by itself."""

    outcome: Outcome
    steps: tuple[FilterStep, ...] = ()


_ENTITLED: Values = {"entitled": True}

UNREADABLE_FILTER = FilterVerdict(Outcome.ERROR)
"""A filter that cannot be read wants nothing."""


def explain_filter(item: NewsItem, wants: Filter, entitled: Entitlement = UNRESTRICTED) -> FilterVerdict:
    """Ask every step of a filter about an item; of one that a token keeps from its bearer only that is said."""
    reading = analyze_item(item)
    if not may_see_category(reading, entitled):
        return FilterVerdict(Outcome.CATEGORY, (FilterStep(Outcome.CATEGORY, is_met=False, want=_ENTITLED, got={}),))
    if not may_see_source(reading, entitled):
        return FilterVerdict(Outcome.SOURCE, (FilterStep(Outcome.SOURCE, is_met=False, want=_ENTITLED, got={}),))
    criteria = compile_filter(wants, entitled)
    steps = tuple(
        FilterStep(outcome, admits(reading, criteria), _WANT[outcome](wants), _GOT[outcome](item))
        for outcome, admits in STEPS
    )
    return FilterVerdict(next((step.step for step in steps if not step.is_met), Outcome.MATCHED), steps)


def _want_source(wants: Filter) -> Values:
    lists: Values = {"nitter_accounts": wants.nitter_accounts, "rss_feeds": wants.rss_feeds}
    return lists | {"sources_strict": wants.sources_strict}


def _want_text(wants: Filter) -> Values:
    lists: Values = {"keywords": wants.keywords, "tickers": wants.tickers, "people": wants.people}
    return lists | {"exclude": wants.exclude}


def _got_source(item: NewsItem) -> Values:
    return {"source": Source(item.source).value, "source_account": item.source_account}


def _got_text(item: NewsItem) -> Values:
    return {"title": item.title, "tickers": item.tickers, "people": item.people}


_WANT: dict[Outcome, Callable[[Filter], Values]] = {
    Outcome.IMPACT: lambda wants: {"impact_threshold": wants.impact_threshold},
    Outcome.CATEGORY: lambda wants: {"categories": wants.categories},
    Outcome.SOURCE: _want_source,
    Outcome.KEYWORD: _want_text,
}
_GOT: dict[Outcome, Callable[[NewsItem], Values]] = {
    Outcome.IMPACT: lambda item: {"impact_score": item.impact_score},
    Outcome.CATEGORY: lambda item: {"category": item.category.value},
    Outcome.SOURCE: _got_source,
    Outcome.KEYWORD: _got_text,
}
