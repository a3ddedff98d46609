"""Small sets of words and names, so that random filters and items match often."""

from hypothesis import strategies as st

from app.core.access.entitlement import UNRESTRICTED, Entitlement, parse_entitlement
from app.core.filters.filter import Exclude, Filter
from app.core.news.item import Category, NewsItem, Source
from tests.support.items import item

WORDS = ["fed", "rate", "cut", "cuts", "btc", "eth", "whether", "利下げ", "日銀", "b.tc", "c++", "c", "fed+"]
ACCOUNTS = ["@Fed", "fed", "WSJ.com: Markets", "wsj", "rate wire", "日銀 wire"]
TICKERS = ["BTC", "$eth", "b.tc", "fed"]
PEOPLE = ["Jerome Powell", "powell", "jerome", "pow*"]

phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
keywords = st.tuples(phrases, st.sampled_from(["", "*"])).map("".join) | st.sampled_from(["$BTC", "re*", "f*", "利"])
categories = st.sampled_from([category.value for category in Category])


def names(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2).map(tuple)


def lists(of: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(of, max_size=3).map(tuple)


excludes = st.builds(
    Exclude,
    keywords=lists(keywords),
    tickers=names(TICKERS),
    people=names(PEOPLE),
    categories=lists(categories),
    nitter_accounts=names(ACCOUNTS),
    rss_feeds=names(ACCOUNTS),
)

filters = st.builds(
    Filter,
    nitter_accounts=names(ACCOUNTS),
    rss_feeds=names(ACCOUNTS),
    categories=lists(categories),
    keywords=lists(keywords),
    impact_threshold=st.integers(0, 100),
    tickers=names(TICKERS),
    people=names(PEOPLE),
    exclude=st.just(Exclude()) | excludes,
    sources_strict=st.booleans(),
)

entitlements: st.SearchStrategy[Entitlement] = st.just(UNRESTRICTED) | st.fixed_dictionaries(
    {},
    optional={
        "categories": st.lists(categories, max_size=3),
        "sources": st.lists(st.sampled_from(["rss", "nitter", "@fed", *ACCOUNTS]), max_size=3),
    },
).map(parse_entitlement)

texts = st.lists(st.sampled_from([*WORDS, "re", "日銀が利下げ", "-"]), max_size=8).map(" ".join)

items: st.SearchStrategy[NewsItem] = st.builds(
    item,
    source=st.sampled_from(Source),
    source_account=st.sampled_from(ACCOUNTS),
    title=texts,
    content=texts,
    impact_score=st.floats(0, 100),
    tickers=names(TICKERS),
    people=names(PEOPLE[:1]),
    category=st.sampled_from(Category),
)
