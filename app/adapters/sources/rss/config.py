"""Read and check feeds.toml, which lists the feeds to poll.

[[feed]]
url = "https://feeds.example.com/markets.xml"
name = "Example Markets"     # optional: the feed's own title otherwise
every_s = 60                 # optional: seconds between two polls
private = true               # optional: its host may have a private address
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from app.core.errors import FieldError
from app.core.news import urls
from app.core.text.words import normalize
from app.core.validation import fields
from app.core.validation.values import did_you_mean


class InvalidFeedsFile(ValueError):
    """feeds.toml cannot be read or is not valid. The message says what is wrong; of several invalid [[feed]] tables it
    describes only the first.
    """


class FeedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One [[feed]] table of feeds.toml. An empty `name` stands for the feed's own title; `every_s` is the polling
    interval in seconds; `private` allows the feed's host to have a private address.
    """

    url: str
    name: Annotated[str, Meta(max_length=256)] = ""
    every_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    private: bool = False


def read_feeds(path: str) -> list[FeedConfig]:
    """Return the feeds that a feeds.toml lists. If several have the same URL, ignoring case, only the last of them is
    returned. Raises InvalidFeedsFile.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidFeedsFile(f"NEWS_FEEDS={path!r}: must be a readable TOML file: {error}") from error
    tables = document.pop("feed", [])
    if document:
        unknown = next(iter(document))
        nearest = did_you_mean(unknown, ["feed"])
        raise InvalidFeedsFile(f"{path}: unknown key {unknown!r}{nearest}: must contain only [[feed]] tables")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidFeedsFile(f"{path}: must contain [[feed]] tables")
    try:
        feeds = [_read_feed(table, f"/feed/{position}") for position, table in enumerate(tables)]
    except fields.InvalidFields as error:
        raise InvalidFeedsFile(f"{path}: {error}") from error
    return list({normalize(feed.url): feed for feed in feeds}.values())


def _read_feed(table: Mapping[str, object], pointer: str) -> FeedConfig:
    feed = fields.convert(table, FeedConfig, pointer)
    known = FeedConfig.__struct_fields__
    unknown = [key for key in table if key not in known]
    if unknown:
        errors = (
            FieldError(f"{pointer}/{fields.escape(key)}", f"unknown key{did_you_mean(key, known)}") for key in unknown
        )
        raise fields.InvalidFields(tuple(errors))
    try:
        urls.canonical(feed.url)
    except ValueError as error:
        raise fields.InvalidFields((FieldError(f"{pointer}/url", str(error)),)) from None
    return feed
