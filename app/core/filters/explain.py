"""Explain why an item did or did not match a filter: what each step requires and what the item has.

Every step is evaluated, even after one has rejected the item: a user who corrects one condition also needs to know
about the next. If the user is not entitled to the item, only that is reported.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import analyze_item, compile_filter
from app.core.filters.filter import Filter
from app.core.filters.matching import STEPS, Outcome, may_see_category, may_see_source
from app.core.news.item import NewsItem, Source

# The values of some fields of a filter or an item, by the public names of the fields.
Values = dict[str, object]


class FilterStep(NamedTuple):
    """The evaluation of one step of a filter for one item. `want` has the filter's conditions, and `got` has the item's
    values to which these conditions apply. If the user is not entitled to the item, `want` is `{"entitled": True}` and
    `got` is empty.
    """

    step: Outcome
    is_met: bool
    want: Values
    got: Values


class FilterVerdict(NamedTuple):
    """The result of a filter for an item. `outcome` is MATCHED if the filter accepts the item, otherwise the first step
    that rejects it, or ERROR if the filter cannot be read.

    `steps` has all four steps in order, with two exceptions. If the user is not entitled to the item, it has only the
    step that rejects the item. If the outcome is ERROR, it is empty.
    """

    outcome: Outcome
    steps: tuple[FilterStep, ...] = ()


_ENTITLED: Values = {"entitled": True}

UNREADABLE_FILTER = FilterVerdict(Outcome.ERROR)
"""The verdict for every item if the stored filter cannot be read. Such a filter matches nothing."""


def explain_filter(item: NewsItem, news_filter: Filter, entitled: Entitlement = UNRESTRICTED) -> FilterVerdict:
    """Evaluate every step of a filter for an item that the user may see. If `entitled` does not allow the item's
    category or source, the verdict has only the step CATEGORY or SOURCE, and reveals nothing of the item.
    """
    analyzed = analyze_item(item)
    if not may_see_category(analyzed, entitled):
        return FilterVerdict(Outcome.CATEGORY, (FilterStep(Outcome.CATEGORY, is_met=False, want=_ENTITLED, got={}),))
    if not may_see_source(analyzed, entitled):
        return FilterVerdict(Outcome.SOURCE, (FilterStep(Outcome.SOURCE, is_met=False, want=_ENTITLED, got={}),))
    compiled = compile_filter(news_filter, entitled)
    steps = tuple(
        FilterStep(outcome, admits(analyzed, compiled), _WANT[outcome](news_filter), _GOT[outcome](item))
        for outcome, admits in STEPS
    )
    return FilterVerdict(next((step.step for step in steps if not step.is_met), Outcome.MATCHED), steps)


def _want_source(news_filter: Filter) -> Values:
    lists: Values = {"nitter_accounts": news_filter.nitter_accounts, "rss_feeds": news_filter.rss_feeds}
    return lists | {"sources_strict": news_filter.sources_strict}


def _want_text(news_filter: Filter) -> Values:
    lists: Values = {"keywords": news_filter.keywords, "tickers": news_filter.tickers, "people": news_filter.people}
    return lists | {"exclude": news_filter.exclude}


def _got_source(item: NewsItem) -> Values:
    return {"source": Source(item.source).value, "source_account": item.source_account}


def _got_text(item: NewsItem) -> Values:
    return {"title": item.title, "tickers": item.tickers, "people": item.people}


_WANT: dict[Outcome, Callable[[Filter], Values]] = {
    Outcome.IMPACT: lambda news_filter: {"impact_threshold": news_filter.impact_threshold},
    Outcome.CATEGORY: lambda news_filter: {"categories": news_filter.categories},
    Outcome.SOURCE: _want_source,
    Outcome.KEYWORD: _want_text,
}
_GOT: dict[Outcome, Callable[[NewsItem], Values]] = {
    Outcome.IMPACT: lambda item: {"impact_score": item.impact_score},
    Outcome.CATEGORY: lambda item: {"category": item.category.value},
    Outcome.SOURCE: _got_source,
    Outcome.KEYWORD: _got_text,
}
