"""What one channel of one user wants. This file owns the filter's fields, its limits and its check."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from app.core import fields, text
from app.core.errors import Code, FieldError, Theirs
from app.core.news import Category

DEFAULT_CHANNEL = "default"
DEFAULT_THRESHOLD = 70

Account = Annotated[str, Meta(min_length=1, max_length=64)]
Accounts = Annotated[tuple[Account, ...], Meta(max_length=200)]
Keyword = Annotated[str, Meta(min_length=2, max_length=64)]
Keywords = Annotated[tuple[Keyword, ...], Meta(max_length=200)]
Symbol = Annotated[str, Meta(min_length=1, max_length=32)]
Symbols = Annotated[tuple[Symbol, ...], Meta(max_length=200)]
CategoryNames = Annotated[tuple[str, ...], Meta(max_length=20)]
Threshold = Annotated[int, Meta(ge=0, le=100)]


class Exclude(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a filter keeps out, whatever else the item has."""

    keywords: Keywords = ()
    tickers: Symbols = ()
    people: Keywords = ()
    categories: CategoryNames = ()
    nitter_accounts: Accounts = ()
    rss_feeds: Accounts = ()


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """One channel's wishes. An empty list asks nothing; every list that is not empty must be met."""

    nitter_accounts: Accounts = ()
    rss_feeds: Accounts = ()
    categories: CategoryNames = ()
    keywords: Keywords = ()
    impact_threshold: Threshold = DEFAULT_THRESHOLD
    tickers: Symbols = ()
    people: Keywords = ()
    exclude: Exclude = Exclude()
    sources_strict: bool = False


EVERYTHING = Filter(impact_threshold=0)
"""What a user without a stored subscription gets."""


class Subscription(NamedTuple):
    """A user's stored wishes: the filter of one channel, where alerts go, and when it came to be (Unix seconds)."""

    user_id: str
    channel: str
    wants: Filter
    alert_channels: tuple[str, ...]
    created_at: float
    updated_at: float


class Checked(NamedTuple):
    """A valid filter and what its author should know: keys nobody reads."""

    wants: Filter
    warnings: tuple[FieldError, ...]


def parse_filter(data: Mapping[str, object], pointer: str = "") -> Checked:
    """Check a client's decoded filter and normalise it. Raises Theirs(INVALID_FILTER) with every bad field named."""
    try:
        wants = fields.convert(data, Filter, pointer)
    except fields.BadFields as error:
        raise Theirs(Code.INVALID_FILTER, "Invalid filters", fields=error.errors) from None
    errors = (*_unfindable(wants, pointer), *_unknown_categories(wants, pointer))
    if errors:
        raise Theirs(Code.INVALID_FILTER, "Invalid filters", fields=errors)
    ignored = fields.unknown_keys(data, Filter)
    return Checked(_normalise(wants), tuple(FieldError(f"{pointer}/{key}", "unknown key, ignored") for key in ignored))


def _unfindable(wants: Filter, pointer: str) -> list[FieldError]:
    """Name the terms without a letter or digit: nothing could ever match them."""
    places: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("rss_feeds", wants.rss_feeds),
        ("keywords", wants.keywords),
        ("people", wants.people),
        ("exclude/rss_feeds", wants.exclude.rss_feeds),
        ("exclude/keywords", wants.exclude.keywords),
        ("exclude/people", wants.exclude.people),
    )
    return [
        FieldError(f"{pointer}/{place}/{position}", "want at least one letter or digit")
        for place, phrases in places
        for position, phrase in enumerate(phrases)
        if text.parse_term(phrase) is None
    ]


def _unknown_categories(wants: Filter, pointer: str) -> list[FieldError]:
    known = [category.value for category in Category]
    return [
        FieldError(f"{pointer}/{place}/{position}", f"want one of {', '.join(known)}")
        for place, names in (("categories", wants.categories), ("exclude/categories", wants.exclude.categories))
        for position, name in enumerate(names)
        if name.strip().casefold() not in known
    ]


def _normalise(wants: Filter) -> Filter:
    return msgspec.structs.replace(
        wants,
        categories=_lowered(wants.categories),
        exclude=msgspec.structs.replace(wants.exclude, categories=_lowered(wants.exclude.categories)),
    )


def _lowered(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip().casefold() for name in names))
