"""Read and check feeds.toml, which lists the feeds to poll.

[defaults]                   # for all feeds; every key but id, url and name
max_age_s = 86400

[[feed]]
url = "https://feeds.example.com/markets.xml"
id = "markets"               # optional: made of the name, or of the host and path
name = "Example Markets"     # optional: the feed's own title otherwise
every_s = 60                 # optional: seconds between two polls
max_age_s = 86400            # optional: older entries are not published; 0: whatever their age
first_look_age_s = 3600      # optional: the same, when the feed is looked at for the first time; 0: no such rule
insist = true                # optional: poll at every_s also if the feed asks for longer pauses
private = true               # optional: its host may have a private address
user_agent = "desk@bank.example"       # optional
headers = { "X-Key" = "…" }            # optional
username = "desk"                      # optional: basic authentication
password_env = "MARKETS_PASSWORD"      # optional: the variable that has the password
bearer_env = "MARKETS_TOKEN"           # optional: the variable that has a token
"""

import base64
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from app.core.errors import FieldError
from app.core.news import urls
from app.core.text.words import normalize
from app.core.validation import fields
from app.core.validation.values import MUST_BE, did_you_mean

_ID = "1 to 64 characters of a-z 0-9 _ -"
_MAX_ID = 64
_NOT_IN_ID = re.compile(r"[^a-z0-9]+")
_OF_ONE_FEED = ("id", "url", "name")

Name = Annotated[str, Meta(max_length=256)]
FeedId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}$(?!\n)|^$", extra={MUST_BE: _ID})]
AgeSeconds = Annotated[float, Meta(ge=0, le=10 * 365 * 86_400)]
HeaderText = Annotated[str, Meta(max_length=1_024, pattern=r"^[\x20-\x7e]*$", extra={MUST_BE: "printable ASCII"})]


class InvalidFeedsFile(ValueError):
    """feeds.toml cannot be read or is not valid. The message says what is wrong; of several invalid [[feed]] tables it
    describes only the first.
    """


class FeedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One [[feed]] table of feeds.toml, with the defaults. An empty `name` stands for the feed's own title; `every_s`
    is the polling interval in seconds; `private` allows the feed's host to have a private address.
    """

    url: str
    id: FeedId = ""
    name: Name = ""
    every_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    max_age_s: AgeSeconds = 86_400.0
    first_look_age_s: AgeSeconds = 3_600.0
    insist: bool = False
    private: bool = False
    user_agent: HeaderText = ""
    headers: dict[HeaderText, HeaderText] = {}
    username: HeaderText = ""
    password_env: str = ""
    bearer_env: str = ""

    def headers_for(self, url: str) -> dict[str, str]:
        """Return the headers to send with a request for a URL. What the operator set for the feed's own host is not
        sent to another, to which the feed redirects. Passwords and tokens are read from the environment.
        """
        sent = {"User-Agent": self.user_agent} if self.user_agent else {}
        if _origin(url) != _origin(self.url):
            return sent
        sent |= self.headers
        if self.username:
            pair = f"{self.username}:{os.environ.get(self.password_env, '')}"
            sent["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif self.bearer_env:
            sent["Authorization"] = f"Bearer {os.environ.get(self.bearer_env, '')}"
        return sent


def read_feeds(path: str) -> list[FeedConfig]:
    """Return the feeds that a feeds.toml lists, each with an id. If several have the same URL, ignoring case, only the
    last of them is returned. Raises InvalidFeedsFile.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidFeedsFile(f"NEWS_FEEDS={path!r}: must be a readable TOML file: {error}") from error
    tables, defaults = document.pop("feed", []), document.pop("defaults", {})
    if document:
        unknown = next(iter(document))
        nearest = did_you_mean(unknown, ["feed", "defaults"])
        raise InvalidFeedsFile(f"{path}: unknown key {unknown!r}{nearest}: must contain only [[feed]] and [defaults]")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidFeedsFile(f"{path}: must contain [[feed]] tables")
    if not isinstance(defaults, dict):
        raise InvalidFeedsFile(f"{path}: defaults must be a table: [defaults]")
    try:
        _check_keys(defaults, "/defaults", without=_OF_ONE_FEED)
        # Also checked where no feed uses them.
        fields.convert({"url": "https://example.com/", **defaults}, FeedConfig, "/defaults")
        feeds = [_read_feed(table, defaults, f"/feed/{position}") for position, table in enumerate(tables)]
        return _with_ids({normalize(feed.url): feed for feed in feeds}.values())
    except fields.InvalidFields as error:
        raise InvalidFeedsFile(f"{path}: {error}") from error


def _read_feed(table: Mapping[str, object], defaults: Mapping[str, object], pointer: str) -> FeedConfig:
    feed = fields.convert({**defaults, **table}, FeedConfig, pointer)
    _check_keys(table, pointer)
    try:
        urls.canonical(feed.url)
    except ValueError as error:
        raise fields.InvalidFields((FieldError(f"{pointer}/url", str(error)),)) from None
    for key in ("password_env", "bearer_env"):
        variable = getattr(feed, key)
        if variable and variable not in os.environ:
            raise fields.InvalidFields((FieldError(f"{pointer}/{key}", f"the variable {variable} is not set"),))
    return feed


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _check_keys(table: Mapping[str, object], pointer: str, without: Iterable[str] = ()) -> None:
    known = [key for key in FeedConfig.__struct_fields__ if key not in without]
    errors = (
        FieldError(f"{pointer}/{fields.escape(key)}", f"unknown key{did_you_mean(key, known)}")
        for key in table
        if key not in known
    )
    if found := tuple(errors):
        raise fields.InvalidFields(found)


def _with_ids(feeds: Iterable[FeedConfig]) -> list[FeedConfig]:
    """Return the feeds, each with an id of its own. Raises InvalidFields if two were given the same."""
    named = list(feeds)
    given = Counter(feed.id for feed in named if feed.id)
    if twice := next((feed_id for feed_id, count in given.items() if count > 1), None):
        raise fields.InvalidFields((FieldError("/feed", f"two feeds have the id {twice!r}"),))
    made = Counter(_made_id(feed) for feed in named if not feed.id)
    return [feed if feed.id else _with_made_id(feed, made, given) for feed in named]


def _with_made_id(feed: FeedConfig, made: Mapping[str, int], given: Mapping[str, int]) -> FeedConfig:
    made_id = _made_id(feed)
    if made[made_id] > 1 or made_id in given:
        # Not a number: the id must not depend on the order of the feeds.
        made_id = f"{made_id[: _MAX_ID - 9]}-{urls.item_id('', urls.canonical(feed.url))[1:9]}"
    return msgspec.structs.replace(feed, id=made_id)


def _made_id(feed: FeedConfig) -> str:
    parts = urlsplit(feed.url)
    text = feed.name or f"{(parts.hostname or '').removeprefix('www.')}{parts.path}"
    plain = _NOT_IN_ID.sub("-", normalize(text)).strip("-")[:_MAX_ID].strip("-")
    return plain or urls.item_id("feed", urls.canonical(feed.url)).replace("_", "-")
