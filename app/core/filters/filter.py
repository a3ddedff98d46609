"""Define the filter of a channel: its fields, their limits, and how a client's filter is checked and normalized."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from sys import intern
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.news.item import Category
from app.core.text import words
from app.core.validation import fields

DEFAULT_CHANNEL = "default"
DEFAULT_THRESHOLD = 70
MAX_ENTRIES = 200
CHANNEL_NAME = r"^[A-Za-z0-9_.:@-]{1,64}$(?!\n)"
CHANNEL_CHARACTERS = "1 to 64 characters of A-Z a-z 0-9 _ . : @ -"

Account = Annotated[str, Meta(min_length=1, max_length=64)]
Accounts = Annotated[tuple[Account, ...], Meta(max_length=MAX_ENTRIES)]
Keyword = Annotated[str, Meta(min_length=2, max_length=64)]
Keywords = Annotated[tuple[Keyword, ...], Meta(max_length=MAX_ENTRIES)]
Symbol = Annotated[str, Meta(min_length=1, max_length=32)]
Symbols = Annotated[tuple[Symbol, ...], Meta(max_length=MAX_ENTRIES)]
CategoryNames = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(max_length=20)]
Threshold = Annotated[int, Meta(ge=0, le=100)]


class Exclude(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The exclusions of a filter. An item is rejected if any entry of any of these lists matches it, even if it meets
    all other conditions. Entries match by the same rules as in the filter's own lists.
    """

    keywords: Keywords = ()
    tickers: Symbols = ()
    people: Keywords = ()
    categories: CategoryNames = ()
    nitter_accounts: Accounts = ()
    rss_feeds: Accounts = ()


NO_EXCLUSIONS = Exclude()


class Filter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The conditions that an item must meet to be sent on a channel. Its `impact_score` must be at least
    `impact_threshold`. For each list that is not empty, at least one entry must match the item; an empty list accepts
    every item. An item that `exclude` matches is rejected.

    `nitter_accounts` applies to Nitter items only, `rss_feeds` to RSS items only. If `sources_strict` is set and only
    one of these two lists has entries, all items of the other kind of source are rejected.
    """

    nitter_accounts: Accounts = ()
    rss_feeds: Accounts = ()
    categories: CategoryNames = ()
    keywords: Keywords = ()
    impact_threshold: Threshold = DEFAULT_THRESHOLD
    tickers: Symbols = ()
    people: Keywords = ()
    exclude: Exclude = NO_EXCLUSIONS
    sources_strict: bool = False


MATCH_ALL = Filter(impact_threshold=0)
"""The filter that accepts every item. It is used for users without a stored filter for channel `default`."""


class Subscription(NamedTuple):
    """A filter that is stored for one channel of a user. The times are Unix seconds. `alert_channels` says where alerts
    go and is unrelated to `channel`; it is stored and returned, and has no effect on delivery.
    """

    user_id: str
    channel: str
    filter: Filter
    alert_channels: tuple[str, ...]
    created_at: float
    updated_at: float


class ParsedFilter(NamedTuple):
    """A valid, normalized filter, with a warning for each key of the client's JSON that is unknown and was ignored (at
    most `fields.MAX_ERRORS` for each JSON object).
    """

    filter: Filter
    warnings: tuple[FieldError, ...]


def parse_filter(data: Mapping[str, object], pointer: str = "") -> ParsedFilter:
    """Check and normalize a client's filter, and return it with its warnings.

    `data` is the filter as decoded JSON, and `pointer` is the JSON pointer to the filter in the client's document.
    Raises ClientError(INVALID_FILTER) that names the wrong fields, at most `fields.MAX_ERRORS`.
    """
    exclude = data.get("exclude")
    excluded: Mapping[str, object] = exclude if isinstance(exclude, dict) else {}
    errors = (*_unmatchable_entries(data, pointer), *_unmatchable_entries(excluded, f"{pointer}/exclude"))
    try:
        news_filter = fields.convert(data, Filter, pointer)
    except fields.InvalidFields as error:
        named = {bad.pointer for bad in error.errors}
        raise _invalid((*error.errors, *(bad for bad in errors if bad.pointer not in named))) from None
    if errors:
        raise _invalid(errors)
    ignored = (
        *fields.unknown_keys(data, Filter, pointer),
        *fields.unknown_keys(excluded, Exclude, f"{pointer}/exclude"),
    )
    return ParsedFilter(normalize_filter(news_filter), ignored)


def _unmatchable_entries(lists: Mapping[str, object], pointer: str) -> list[FieldError]:
    """Return an error for each list entry that cannot match any item. Such an entry is an unknown category, a term
    without a letter or digit, or an account or ticker that is only a sign such as `@` or `$`. Only non-empty strings
    are checked here.
    """
    return [
        FieldError(f"{pointer}/{key}/{position}", must_be)
        for key, (is_findable, must_be) in _MATCHABLE.items()
        for position, entry in enumerate(_entries(lists.get(key)))
        if isinstance(entry, str) and entry and not is_findable(entry)
    ]


def _entries(values: object) -> list[object]:
    """Return the first MAX_ENTRIES entries of a list. For a value that is not a list, return an empty list."""
    return values[:MAX_ENTRIES] if isinstance(values, list) else []


def _is_category(name: str) -> bool:
    return name.strip().casefold() in set(Category)


def _is_term(phrase: str) -> bool:
    return words.parse_term(phrase) is not None


_A_WORD = "must have at least one letter or digit"
_MATCHABLE: dict[str, tuple[Callable[[str], object], str]] = {
    "categories": (_is_category, f"must be one of {', '.join(Category)}"),
    "keywords": (_is_term, _A_WORD),
    "people": (_is_term, _A_WORD),
    "rss_feeds": (_is_term, _A_WORD),
    "nitter_accounts": (words.handle_key, _A_WORD),
    "tickers": (words.ticker_key, _A_WORD),
}


def _invalid(errors: tuple[FieldError, ...]) -> ClientError:
    return ClientError(ErrorCode.INVALID_FILTER, "Invalid filters", fields=errors[: fields.MAX_ERRORS])


def normalize_filter(news_filter: Filter) -> Filter:
    """Return the filter with its categories stripped, case-folded and without duplicates. The strings of all lists are
    interned, because many users list the same strings.
    """
    exclude = news_filter.exclude
    return msgspec.structs.replace(
        news_filter,
        **_shared_lists(news_filter),
        exclude=NO_EXCLUSIONS
        if exclude == NO_EXCLUSIONS
        else msgspec.structs.replace(exclude, **_shared_lists(exclude)),
    )


def _shared_lists(lists: Filter | Exclude) -> dict[str, tuple[str, ...]]:
    return {
        "categories": _lowered(lists.categories),
        "keywords": tuple(map(intern, lists.keywords)),
        "tickers": tuple(map(intern, lists.tickers)),
        "people": tuple(map(intern, lists.people)),
        "nitter_accounts": tuple(map(intern, lists.nitter_accounts)),
        "rss_feeds": tuple(map(intern, lists.rss_feeds)),
    }


@lru_cache(maxsize=256)
def _lowered(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(intern(name.strip().casefold()) for name in names))
