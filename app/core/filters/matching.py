"""Why an item does not match a filter. This file owns the meaning of every filter step: the slow, obvious truth.

The steps and their order are the specification (docs/filters.md says it for users); the order is also how a rejection
is attributed. `index` computes the same for a million filters at once, and a property test holds it to this file.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.analysis import AnalyzedItem, CompiledFilter, FilterTerms, analyze_item, compile_filter
from app.core.filters.filter import Filter
from app.core.news.item import NewsItem, Source
from app.core.text.words import Term, Text, occurs_in


class Outcome(StrEnum):
    """What became of one item for one slot: matched, or the first step that rejected it. Also the metric's label."""

    MATCHED = "matched"
    IMPACT = "impact"
    CATEGORY = "category"
    SOURCE = "source"
    KEYWORD = "keyword"
    ERROR = "error"


def why_not(item: NewsItem, wants: Filter, entitled: Entitlement = UNRESTRICTED) -> Outcome | None:
    """Say which step rejects the item, or None when the filter wants it and its owner may see it."""
    return first_rejection(analyze_item(item), compile_filter(wants, entitled))


def first_rejection(reading: AnalyzedItem, criteria: CompiledFilter) -> Outcome | None:
    """The same for values already read."""
    return next((outcome for outcome, admits in STEPS if not admits(reading, criteria)), None)


def _impact_passes(reading: AnalyzedItem, criteria: CompiledFilter) -> bool:
    return reading.impact >= criteria.threshold


def may_see_category(reading: AnalyzedItem, entitled: Entitlement) -> bool:
    return entitled.categories is None or reading.category in entitled.categories


def may_see_source(reading: AnalyzedItem, entitled: Entitlement) -> bool:
    sources = entitled.sources
    if sources is None or reading.source in sources.kinds:
        return True
    if reading.source is Source.NITTER:
        return reading.handle in sources.handles
    return _any_occurs_in(sources.feeds, reading.feed)


def _category_passes(reading: AnalyzedItem, criteria: CompiledFilter) -> bool:
    is_wanted = not criteria.included.categories or reading.category in criteria.included.categories
    return is_wanted and may_see_category(reading, criteria.entitled)


def _source_passes(reading: AnalyzedItem, criteria: CompiledFilter) -> bool:
    return _source_is_listed(reading, criteria) and may_see_source(reading, criteria.entitled)


def _source_is_listed(reading: AnalyzedItem, criteria: CompiledFilter) -> bool:
    wants = criteria.included
    if reading.source is Source.NITTER and wants.handles:
        return reading.handle in wants.handles
    if reading.source is Source.RSS and wants.feeds:
        return _any_occurs_in(wants.feeds, reading.feed)
    # A list for one kind says nothing about the other kind, unless the filter is strict.
    return not (criteria.is_strict and (wants.handles or wants.feeds))


def _text_passes(reading: AnalyzedItem, criteria: CompiledFilter) -> bool:
    return _text_is_included(reading, criteria.included) and not _is_excluded(reading, criteria.excluded)


def _text_is_included(reading: AnalyzedItem, wants: FilterTerms) -> bool:
    return (
        (not wants.symbols or _has_keyword(reading, wants))
        and (not wants.tickers or not wants.tickers.isdisjoint(reading.tickers))
        and (not wants.people or _has_person(reading, wants.people))
    )


def _is_excluded(reading: AnalyzedItem, refuses: FilterTerms) -> bool:
    return (
        reading.category in refuses.categories
        or (reading.source is Source.NITTER and reading.handle in refuses.handles)
        or (reading.source is Source.RSS and _any_occurs_in(refuses.feeds, reading.feed))
        or _has_keyword(reading, refuses)
        or not refuses.tickers.isdisjoint(reading.tickers)
        or _has_person(reading, refuses.people)
    )


def _has_keyword(reading: AnalyzedItem, terms: FilterTerms) -> bool:
    return (
        not terms.symbols.isdisjoint(reading.tickers)
        or _any_occurs_in(terms.keywords, reading.title)
        or _any_occurs_in(terms.keywords, reading.content)
    )


def _has_person(reading: AnalyzedItem, people: Iterable[Term]) -> bool:
    return any(occurs_in(person, name) for person in people for name in reading.people)


def _any_occurs_in(terms: Iterable[Term], text: Text) -> bool:
    return any(occurs_in(term, text) for term in terms)


STEPS: tuple[tuple[Outcome, Callable[[AnalyzedItem, CompiledFilter], bool]], ...] = (
    (Outcome.IMPACT, _impact_passes),
    (Outcome.CATEGORY, _category_passes),
    (Outcome.SOURCE, _source_passes),
    (Outcome.KEYWORD, _text_passes),
)
"""Every step, in the order in which a rejection is attributed: its name, and whether it lets an item through."""
