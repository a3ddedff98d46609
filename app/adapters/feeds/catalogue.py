"""feeds.toml. This file owns which feeds are polled, under which name and how often, and how the file is checked.

[[feed]]
url = "https://feeds.example.com/markets.xml"
name = "Example Markets"     # optional: the feed's own title otherwise
every_s = 60                 # optional
private = true               # optional: its host may have a private address
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from app.core import fields, urls
from app.core.errors import FieldError
from app.core.text import normalise


class BadCatalogue(ValueError):
    """feeds.toml cannot be used; the message names every bad place in it."""


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """One feed to poll."""

    url: str
    name: Annotated[str, Meta(max_length=256)] = ""
    every_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    private: bool = False


def read_catalogue(path: str) -> list[Feed]:
    """Read feeds.toml. Raises BadCatalogue."""
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadCatalogue(f"NEWS_FEEDS={path!r}: want a feeds.toml that can be read: {error}") from error
    tables = document.pop("feed", [])
    if document:
        raise BadCatalogue(f"{path}: unknown key {next(iter(document))!r}: want [[feed]] tables")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadCatalogue(f"{path}: want [[feed]] tables")
    try:
        feeds = [_read_feed(table, f"/feed/{position}") for position, table in enumerate(tables)]
    except fields.BadFields as error:
        raise BadCatalogue(f"{path}: {error}") from error
    return list({normalise(feed.url): feed for feed in feeds}.values())


def _read_feed(table: Mapping[str, object], pointer: str) -> Feed:
    feed = fields.convert(table, Feed, pointer)
    ignored = fields.unknown_keys(table, Feed, pointer)
    if ignored:
        raise fields.BadFields(tuple(bad._replace(detail="unknown key") for bad in ignored))
    try:
        urls.canonical(feed.url)
    except ValueError as error:
        raise fields.BadFields((FieldError(f"{pointer}/url", str(error)),)) from None
    return feed
