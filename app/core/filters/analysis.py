"""Convert items and filters to the form in which they are compared: items are analyzed, filters are compiled.

A match against the filter index analyzes the item once, whatever the number of filters, and compiles no filter. A
filter is compiled when it enters or leaves the index. `matching` and `filter_index` compare the same values, so if
their results differ, the cause is in how they search.
"""

from functools import lru_cache
from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.filter import NO_EXCLUSIONS, Filter
from app.core.news.item import NewsItem, Source
from app.core.text.term_set import TermSet
from app.core.text.words import Text, handle_key, parse_term, ticker_key, tokenize

# The size of each cache of compiled list entries: many users list the same words and names.
_CACHED_TERMS = 4_096


class AnalyzedItem(NamedTuple):
    """An item whose texts are tokenized and whose names are normalized, ready to compare with filters. `handle` and
    `feed` are two forms of its `source_account`: `handle` is compared with Nitter accounts, `feed` with the names of
    RSS feeds.
    """

    impact: float
    category: str
    source: Source
    handle: str
    feed: Text
    title: Text
    content: Text
    tickers: frozenset[str]
    people: tuple[Text, ...]


class FilterTerms(NamedTuple):
    """The lists of a filter, or of its `exclude`, normalized and without duplicates.

    A keyword matches if it occurs in the title or content or equals one of the item's tickers, so each keyword is in
    both `keywords` and `symbols`.
    """

    handles: frozenset[str]
    feeds: TermSet
    categories: frozenset[str]
    keywords: TermSet
    symbols: frozenset[str]
    tickers: frozenset[str]
    people: TermSet


class CompiledFilter(NamedTuple):
    """A filter in the form that is compared with an `AnalyzedItem`. `entitled` is what the filter's user may see; in
    `FilterIndex` it is UNRESTRICTED, because `EntitledSlots` checks entitlements there.
    """

    threshold: int
    included: FilterTerms
    excluded: FilterTerms
    is_strict: bool
    entitled: Entitlement


def analyze_item(item: NewsItem) -> AnalyzedItem:
    return AnalyzedItem(
        impact=item.impact_score,
        category=item.category.value,
        source=item.source,
        handle=handle_key(item.source_account),
        feed=tokenize(item.source_account),
        title=tokenize(item.title),
        content=tokenize(item.content),
        tickers=frozenset(map(ticker_key, item.tickers)),
        people=tuple(map(tokenize, item.people)),
    )


@lru_cache(maxsize=64)
def compile_filter(news_filter: Filter, entitled: Entitlement = UNRESTRICTED) -> CompiledFilter:
    """Return a filter, with the entitlement of its user, in the form that is compared with an `AnalyzedItem`. The 64
    most recently used results are cached: one filter is often compiled several times in a row, and many users have
    equal filters.
    """
    exclude = news_filter.exclude
    return CompiledFilter(
        threshold=news_filter.impact_threshold,
        included=_compile_terms(
            news_filter.nitter_accounts,
            news_filter.rss_feeds,
            news_filter.categories,
            news_filter.keywords,
            news_filter.tickers,
            news_filter.people,
        ),
        # Most filters exclude nothing. All of them share `NO_TERMS`.
        excluded=NO_TERMS
        if exclude == NO_EXCLUSIONS
        else _compile_terms(
            exclude.nitter_accounts,
            exclude.rss_feeds,
            exclude.categories,
            exclude.keywords,
            exclude.tickers,
            exclude.people,
        ),
        is_strict=news_filter.sources_strict,
        entitled=entitled,
    )


_compile_handle, _compile_symbol = lru_cache(_CACHED_TERMS)(handle_key), lru_cache(_CACHED_TERMS)(ticker_key)
_compile_phrase = lru_cache(_CACHED_TERMS)(parse_term)


def _compile_terms(
    accounts: tuple[str, ...],
    feeds: tuple[str, ...],
    categories: tuple[str, ...],
    keywords: tuple[str, ...],
    tickers: tuple[str, ...],
    people: tuple[str, ...],
) -> FilterTerms:
    return FilterTerms(
        handles=frozenset(map(_compile_handle, accounts)),
        feeds=_compile_phrases(feeds),
        categories=frozenset(map(str.casefold, categories)),
        keywords=_compile_phrases(keywords),
        symbols=frozenset(map(_compile_symbol, keywords)),
        tickers=frozenset(map(_compile_symbol, tickers)),
        people=_compile_phrases(people),
    )


def _compile_phrases(phrases: tuple[str, ...]) -> TermSet:
    return TermSet(filter(None, map(_compile_phrase, phrases)))


NO_TERMS = _compile_terms((), (), (), (), (), ())
"""The terms of empty lists: the `excluded` of every filter that excludes nothing."""
