"""Define when an item matches a filter. The code is as simple as possible and evaluates one filter at a time.

It also evaluates filters for items that are read back from the log, so its cost does not depend on the number of terms.

The steps and their order are the specification; docs/filters.md states it for users. A rejected item is attributed to
the first step that rejects it. `filter_index` computes the same result for a million filters at once, and a property
test (tests/core/test_filter_index.py) compares it with this module.
"""

from collections.abc import Callable
from enum import StrEnum

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import AnalyzedItem, CompiledFilter, FilterTerms, analyze_item, compile_filter
from app.core.filters.filter import Filter
from app.core.news.item import NewsItem, Source
from app.core.text.term_set import TermSet


class Outcome(StrEnum):
    """The result of a filter for an item. MATCHED means that the filter accepts it, and ERROR that the filter cannot be
    read or evaluated. Any other value is the first step that rejects the item. The values are also metric labels.
    """

    MATCHED = "matched"
    IMPACT = "impact"
    CATEGORY = "category"
    SOURCE = "source"
    KEYWORD = "keyword"
    ERROR = "error"


def why_not(item: NewsItem, news_filter: Filter, entitled: Entitlement = UNRESTRICTED) -> Outcome | None:
    """Return the first step that rejects the item, or None if the filter matches and `entitled` allows the item."""
    return first_rejection(analyze_item(item), compile_filter(news_filter, entitled))


def first_rejection(analyzed: AnalyzedItem, compiled: CompiledFilter) -> Outcome | None:
    """Return the first step of a compiled filter that rejects an analyzed item, or None if the filter matches."""
    return next((outcome for outcome, admits in STEPS if not admits(analyzed, compiled)), None)


def _impact_passes(analyzed: AnalyzedItem, compiled: CompiledFilter) -> bool:
    return analyzed.impact >= compiled.threshold


def may_see(analyzed: AnalyzedItem, entitled: Entitlement) -> bool:
    """Return whether an entitlement allows an item's category and source."""
    return may_see_category(analyzed, entitled) and may_see_source(analyzed, entitled)


def may_see_category(analyzed: AnalyzedItem, entitled: Entitlement) -> bool:
    return entitled.categories is None or analyzed.category in entitled.categories


def may_see_source(analyzed: AnalyzedItem, entitled: Entitlement) -> bool:
    sources = entitled.sources
    if sources is None or analyzed.source in sources.kinds:
        return True
    if analyzed.source is Source.NITTER:
        return analyzed.handle in sources.handles
    return sources.feeds.any_occurs_in(analyzed.feed)


def _category_passes(analyzed: AnalyzedItem, compiled: CompiledFilter) -> bool:
    is_listed = not compiled.included.categories or analyzed.category in compiled.included.categories
    return is_listed and may_see_category(analyzed, compiled.entitled)


def _source_passes(analyzed: AnalyzedItem, compiled: CompiledFilter) -> bool:
    return _source_is_listed(analyzed, compiled) and may_see_source(analyzed, compiled.entitled)


def _source_is_listed(analyzed: AnalyzedItem, compiled: CompiledFilter) -> bool:
    included = compiled.included
    if analyzed.source is Source.NITTER and included.handles:
        return analyzed.handle in included.handles
    if analyzed.source is Source.RSS and included.feeds:
        return included.feeds.any_occurs_in(analyzed.feed)
    # The filter has no list for this item's kind of source. A list for the other kind rejects the item only if the
    # filter is strict.
    return not (compiled.is_strict and (included.handles or included.feeds))


def _text_passes(analyzed: AnalyzedItem, compiled: CompiledFilter) -> bool:
    return _text_is_included(analyzed, compiled.included) and not _is_excluded(analyzed, compiled.excluded)


def _text_is_included(analyzed: AnalyzedItem, included: FilterTerms) -> bool:
    return (
        (not included.symbols or _has_keyword(analyzed, included))
        and (not included.tickers or not included.tickers.isdisjoint(analyzed.tickers))
        and (not included.people or _has_person(analyzed, included.people))
    )


def _is_excluded(analyzed: AnalyzedItem, excluded: FilterTerms) -> bool:
    return (
        analyzed.category in excluded.categories
        or (analyzed.source is Source.NITTER and analyzed.handle in excluded.handles)
        or (analyzed.source is Source.RSS and excluded.feeds.any_occurs_in(analyzed.feed))
        or _has_keyword(analyzed, excluded)
        or not excluded.tickers.isdisjoint(analyzed.tickers)
        or _has_person(analyzed, excluded.people)
    )


def _has_keyword(analyzed: AnalyzedItem, terms: FilterTerms) -> bool:
    return (
        not terms.symbols.isdisjoint(analyzed.tickers)
        or terms.keywords.any_occurs_in(analyzed.title)
        or terms.keywords.any_occurs_in(analyzed.content)
    )


def _has_person(analyzed: AnalyzedItem, people: TermSet) -> bool:
    return any(map(people.any_occurs_in, analyzed.people))


STEPS: tuple[tuple[Outcome, Callable[[AnalyzedItem, CompiledFilter], bool]], ...] = (
    (Outcome.IMPACT, _impact_passes),
    (Outcome.CATEGORY, _category_passes),
    (Outcome.SOURCE, _source_passes),
    (Outcome.KEYWORD, _text_passes),
)
"""The steps of a filter, in the order in which they are evaluated. Each is a pair: the outcome that is reported if the
step rejects an item, and the function that returns whether an item passes the step.
"""
