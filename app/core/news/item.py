"""The two models of a news item: `RawNews`, as a source provides it, and `NewsItem`, as clients see it. This module
also has the limits of their fields, and checks the items that publishers send.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.news import urls
from app.core.validation import fields
from app.core.validation.values import MUST_BE, UNIX_TIME

HIGH_SIGNAL_ABOVE = 70.0
MAX_TITLE = 512
# Clocks differ, and sources confuse time zones.
RESERVED_IDS = ("stream",)
_MAX_AHEAD_S = 24 * 3600
_MUST_BE_PAST = "must be a Unix time in seconds, at most a day ahead of the server's clock"
MAX_CONTENT = 16 * 1024


class Source(StrEnum):
    """The kind of source that an item comes from."""

    NITTER = "nitter"
    RSS = "rss"


class Category(StrEnum):
    """The subject of an item. `other` means that no specific subject is certain enough."""

    POLITICS = "politics"
    CRYPTO = "crypto"
    ECONOMICS = "economics"
    SPORTS = "sports"
    OTHER = "other"


ItemId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9_.:@-]+$(?!\n)",
        extra={MUST_BE: "1 to 128 characters of A-Z a-z 0-9 _ . : @ -"},
    ),
]
Account = Annotated[str, Meta(max_length=256)]
Title = Annotated[str, Meta(max_length=MAX_TITLE)]
Content = Annotated[str, Meta(min_length=1, max_length=MAX_CONTENT)]
Url = Annotated[str, Meta(min_length=1, max_length=urls.MAX_URL_LENGTH)]
Score = Annotated[float, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Names = Annotated[tuple[Name, ...], Meta(max_length=50)]
# The year 5138: a later time is in milliseconds by mistake.
_UNIX_TIME_END = 100_000_000_000
UnixSeconds = Annotated[float, Meta(ge=0, lt=_UNIX_TIME_END, extra={MUST_BE: UNIX_TIME})]


class NewsItem(msgspec.Struct, frozen=True, kw_only=True):
    """A news item as every client receives it. The fields are named as in the original FastAPI service, which this
    server replaces.

    `source_account` is the Nitter account or the name of the RSS feed. `title` and `content` are plain text without
    HTML. `published_at` is in Unix seconds, and scores are from 0 to 100. `duplicate_of` is the id of the item whose
    story this one repeats, or null. `is_high_signal` means an impact score above 70.

    The last three are there only if they say something. With `published_at_estimated` the source did not say for
    certain when it published the item. With `text_damaged` characters of the text were lost before it came here.
    `retweeted_by` is the Nitter account that repeated the post of `source_account`.
    """

    id: str
    source: Source
    source_account: str
    title: str
    content: str
    url: str
    published_at: float
    impact_score: float
    relevance_score: float
    tickers: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    prediction_markets: tuple[object, ...] = ()
    category: Category = Category.OTHER
    tags: tuple[str, ...] = ()
    is_duplicate: bool = False
    duplicate_of: str | None = None
    is_high_signal: bool = False
    published_at_estimated: bool | msgspec.UnsetType = msgspec.UNSET
    text_damaged: bool | msgspec.UnsetType = msgspec.UNSET
    retweeted_by: str | msgspec.UnsetType = msgspec.UNSET


class RawNews(msgspec.Struct, frozen=True, kw_only=True):
    """A news item as a source or publisher provides it. `source`, `content`, `url` and `published_at` (Unix seconds)
    are required.

    An optional value that is provided is kept. A missing or null one is computed, except `source_account` and
    `prediction_markets`, which then stay empty. HTML in `title`, `content` and `source_account` is converted to plain
    text.
    """

    source: Source
    content: Content
    url: Url
    published_at: UnixSeconds
    id: ItemId | None = None
    source_account: Account | None = None
    title: Title | None = None
    impact_score: Score | None = None
    relevance_score: Score | None = None
    tickers: Names | None = None
    people: Names | None = None
    prediction_markets: Annotated[tuple[object, ...], Meta(max_length=50)] | None = None
    category: Category | None = None
    tags: Names | None = None


def parse_raw(data: Mapping[str, object], now: float, pointer: str = "") -> RawNews:
    """Convert a publisher's decoded JSON object to RawNews. `now` is in Unix seconds, and `pointer` is the place of the
    object in the request. Raises ClientError(INVALID_PARAMETER) that names the wrong fields, at most MAX_ERRORS of
    them.
    """
    errors = (
        *_id_errors(data.get("id"), pointer),
        *_url_errors(data.get("url"), pointer),
        *_time_errors(data.get("published_at"), now, pointer),
    )
    try:
        raw = fields.convert(data, RawNews, pointer)
    except fields.InvalidFields as error:
        raise _invalid(error.errors + errors) from None
    if errors:
        raise _invalid(errors)
    return raw


def _id_errors(given: object, pointer: str) -> tuple[FieldError, ...]:
    """Return an error for an id that would be a path of the API beside `/news/{id}`."""
    if given not in RESERVED_IDS:
        return ()
    return (FieldError(f"{pointer}/id", f"must not be one of {', '.join(RESERVED_IDS)}"),)


def _url_errors(url: object, pointer: str) -> tuple[FieldError, ...]:
    if not isinstance(url, str) or not url:
        return ()
    try:
        urls.canonical(url)
    except ValueError as error:
        return (FieldError(f"{pointer}/url", str(error)),)
    return ()


def _time_errors(published_at: object, now: float, pointer: str) -> tuple[FieldError, ...]:
    """Return an error for a time of publication too far in the future: such an item would be the newest for as long as
    it is stored.
    """
    if not isinstance(published_at, int | float) or not now + _MAX_AHEAD_S < published_at < _UNIX_TIME_END:
        return ()
    return (FieldError(f"{pointer}/published_at", f"{_MUST_BE_PAST} (it is {now:.0f})"),)


def _invalid(errors: tuple[FieldError, ...]) -> ClientError:
    return ClientError(ErrorCode.INVALID_PARAMETER, "The news item is not valid", fields=errors[: fields.MAX_ERRORS])
