"""An item and a filter as the matcher reads them. This file owns the step from wire values to comparable ones.

An item is read once, whatever the number of filters; a filter once when it is put. `matching` and `index` then compare
the same values, so they can differ only in how they search.
"""

from functools import lru_cache
from typing import NamedTuple

from app.core.entitlement import ALL, Entitlement
from app.core.news import NewsItem, Source
from app.core.subscription import EXCLUDES_NOTHING, Filter
from app.core.text import Term, Text, handle_key, parse_term, read, ticker_key

# Words and names that many users list are read once.
_POPULAR = 4_096


class Reading(NamedTuple):
    """An item, tokenised."""

    impact: float
    category: str
    source: Source
    handle: str
    feed: Text
    title: Text
    content: Text
    tickers: frozenset[str]
    people: tuple[Text, ...]


class Terms(NamedTuple):
    """The lists of a filter, or of its `exclude`, ready to compare; no value stands twice.

    A keyword is met as a term in the text or as one of the item's tickers, so it stands in `keywords` and in `symbols`.
    """

    handles: frozenset[str]
    feeds: frozenset[Term]
    categories: frozenset[str]
    keywords: frozenset[Term]
    symbols: frozenset[str]
    tickers: frozenset[str]
    people: frozenset[Term]


class Criteria(NamedTuple):
    """A filter and what its owner may see, ready to compare."""

    threshold: int
    wants: Terms
    refuses: Terms
    is_strict: bool
    entitled: Entitlement


def read_item(item: NewsItem) -> Reading:
    return Reading(
        impact=item.impact_score,
        category=item.category.value,
        source=item.source,
        handle=handle_key(item.source_account),
        feed=read(item.source_account),
        title=read(item.title),
        content=read(item.content),
        tickers=frozenset(map(ticker_key, item.tickers)),
        people=tuple(map(read, item.people)),
    )


@lru_cache(maxsize=64)
def read_filter(wants: Filter, entitled: Entitlement = ALL) -> Criteria:
    """Read a filter. The few read last are kept: a filter is often used several times in a row, and many are alike."""
    refuses = wants.exclude
    return Criteria(
        threshold=wants.impact_threshold,
        wants=_read_terms(
            wants.nitter_accounts, wants.rss_feeds, wants.categories, wants.keywords, wants.tickers, wants.people
        ),
        # Most filters exclude nothing.
        refuses=NOTHING
        if refuses == EXCLUDES_NOTHING
        else _read_terms(
            refuses.nitter_accounts,
            refuses.rss_feeds,
            refuses.categories,
            refuses.keywords,
            refuses.tickers,
            refuses.people,
        ),
        is_strict=wants.sources_strict,
        entitled=entitled,
    )


_read_handle, _read_symbol = lru_cache(_POPULAR)(handle_key), lru_cache(_POPULAR)(ticker_key)
_read_phrase = lru_cache(_POPULAR)(parse_term)


def _read_terms(
    accounts: tuple[str, ...],
    feeds: tuple[str, ...],
    categories: tuple[str, ...],
    keywords: tuple[str, ...],
    tickers: tuple[str, ...],
    people: tuple[str, ...],
) -> Terms:
    return Terms(
        handles=frozenset(map(_read_handle, accounts)),
        feeds=_read_phrases(feeds),
        categories=frozenset(map(str.casefold, categories)),
        keywords=_read_phrases(keywords),
        symbols=frozenset(map(_read_symbol, keywords)),
        tickers=frozenset(map(_read_symbol, tickers)),
        people=_read_phrases(people),
    )


def _read_phrases(phrases: tuple[str, ...]) -> frozenset[Term]:
    return frozenset(filter(None, map(_read_phrase, phrases)))


NOTHING = _read_terms((), (), (), (), (), ())
"""The lists of a filter that asks, or refuses, nothing."""
