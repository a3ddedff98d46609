"""Why an item did or did not match a filter, step by step. This file owns what each step wanted and what it got.

Every step is asked, also behind the first that rejects: who mends one condition wants to know about the next.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.core.entitlement import ALL, Entitlement
from app.core.matching import STEPS, Outcome, may_see_category, may_see_source
from app.core.news import NewsItem, Source
from app.core.reading import read_filter, read_item
from app.core.subscription import Filter

# Wire words to wire values, for people to read.
Values = dict[str, object]


class Step(NamedTuple):
    """One step over one item: whether it lets the item through, what the filter says, what the item has."""

    step: Outcome
    is_met: bool
    want: Values
    got: Values


class Verdict(NamedTuple):
    """What a filter says to an item: matched, or the first step that rejects; and each step by itself."""

    outcome: Outcome
    steps: tuple[Step, ...] = ()


_ENTITLED: Values = {"entitled": True}

UNREADABLE = Verdict(Outcome.ERROR)
"""A filter that cannot be read wants nothing."""


def explain(item: NewsItem, wants: Filter, entitled: Entitlement = ALL) -> Verdict:
    """Ask every step of a filter about an item; of one that a token keeps from its bearer only that is said."""
    reading = read_item(item)
    if not may_see_category(reading, entitled):
        return Verdict(Outcome.CATEGORY, (Step(Outcome.CATEGORY, is_met=False, want=_ENTITLED, got={}),))
    if not may_see_source(reading, entitled):
        return Verdict(Outcome.SOURCE, (Step(Outcome.SOURCE, is_met=False, want=_ENTITLED, got={}),))
    criteria = read_filter(wants, entitled)
    steps = tuple(
        Step(outcome, admits(reading, criteria), _WANTED[outcome](wants), _FOUND[outcome](item))
        for outcome, admits in STEPS
    )
    return Verdict(next((step.step for step in steps if not step.is_met), Outcome.MATCHED), steps)


def _wanted_source(wants: Filter) -> Values:
    lists: Values = {"nitter_accounts": wants.nitter_accounts, "rss_feeds": wants.rss_feeds}
    return lists | {"sources_strict": wants.sources_strict}


def _wanted_text(wants: Filter) -> Values:
    lists: Values = {"keywords": wants.keywords, "tickers": wants.tickers, "people": wants.people}
    return lists | {"exclude": wants.exclude}


def _found_source(item: NewsItem) -> Values:
    return {"source": Source(item.source).value, "source_account": item.source_account}


def _found_text(item: NewsItem) -> Values:
    return {"title": item.title, "tickers": item.tickers, "people": item.people}


_WANTED: dict[Outcome, Callable[[Filter], Values]] = {
    Outcome.IMPACT: lambda wants: {"impact_threshold": wants.impact_threshold},
    Outcome.CATEGORY: lambda wants: {"categories": wants.categories},
    Outcome.SOURCE: _wanted_source,
    Outcome.KEYWORD: _wanted_text,
}
_FOUND: dict[Outcome, Callable[[NewsItem], Values]] = {
    Outcome.IMPACT: lambda item: {"impact_score": item.impact_score},
    Outcome.CATEGORY: lambda item: {"category": item.category.value},
    Outcome.SOURCE: _found_source,
    Outcome.KEYWORD: _found_text,
}
