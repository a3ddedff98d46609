"""The JSON documents that the REST API returns, one type each.

/openapi.json is generated from these types. Times are Unix seconds.

Stored items are returned as their stored JSON, without decoding it. So a type that contains items is generic in the
type of the item: handlers use it with encoded JSON, and /openapi.json with `StoredItem`.
"""

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.core.errors import ErrorCode
from app.core.filters.filter import Filter
from app.core.filters.matching import Outcome
from app.core.limits import Limits
from app.core.news.item import NewsItem
from app.core.protocol.explanations import DeliveryStatus, ExplainedStep
from app.core.protocol.server_messages import FieldProblem

Item = TypeVar("Item")
Warnings = Annotated[tuple[FieldProblem, ...] | UnsetType, Meta(description="keys that are ignored")]


class StoredItem(NewsItem, frozen=True, kw_only=True):
    """A news item and `seq`, its number in the log."""

    seq: int


class Receipt(msgspec.Struct, frozen=True):
    """The confirmation that an item is stored on disk. If `duplicate` is true, the item was stored before, and `id` and
    `seq` are those of the earlier item.
    """

    id: str
    seq: int
    duplicate: bool


class Receipts(msgspec.Struct, frozen=True):
    """One receipt for each item of a batch, in the order of the request."""

    items: tuple[Receipt, ...]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A page of the stored items that a request selects. `total` is the number of items on all pages. If a user's
    filter or the token hides items, only the newest `history.max_scan_items` of the selected items are searched, and
    the pages have only those that are not hidden. `next` is the path and query of the next page, null if there is none.
    """

    items: tuple[Item, ...]
    total: int
    limit: int
    offset: int
    next: str | None


class UserExplanation(msgspec.Struct, frozen=True):
    """Why a user did or did not get an item. `verdict` is the result of the user's stored filter for the item, and
    `steps` shows how each step of the filter decided. `connections` tells what happened to the item on each channel of
    the user's open connections.
    """

    user_id: str
    item: str
    seq: int
    verdict: Outcome
    steps: tuple[ExplainedStep, ...]
    connections: tuple[DeliveryStatus, ...]


class SubscriptionSaved(msgspec.Struct, frozen=True):
    """The confirmation that a filter is stored on disk and applied to the user's connections. `warnings` names the keys
    that are unknown and ignored.
    """

    status: Literal["created", "updated"]
    user_id: str
    created_at: float
    updated_at: float
    warnings: Warnings = UNSET


class StoredSubscription(Filter, frozen=True, kw_only=True):
    """A user's stored filter, the user's alert channels, and when the filter was created and last changed."""

    user_id: str
    alert_channels: tuple[str, ...]
    created_at: float
    updated_at: float


class SubscriptionDeleted(msgspec.Struct, frozen=True):
    """The confirmation that all stored filters of a user are deleted."""

    status: Literal["deleted"]
    user_id: str


class PreviewResult(msgspec.Struct, Generic[Item], frozen=True):
    """The result of trying a filter on the items that were published in the last `hours`. `scanned` is the number of
    items that were evaluated, at most the newest `history.max_scan_items`. `matched` is the number of those that
    matched, and `per_hour` is their average number in an hour. `samples` has the newest of the matching items.
    `rejected` counts the other items by the first step of the filter that rejected them.
    """

    hours: float
    scanned: int
    matched: int
    rejected: dict[str, int]
    per_hour: float
    samples: tuple[Item, ...]
    warnings: Warnings = UNSET


class Instances(msgspec.Struct, frozen=True):
    """The numbers of Nitter instances. They are always 0, because this release reads none."""

    total: int = 0
    healthy: int = 0
    unhealthy: int = 0


class FeedStates(msgspec.Struct, frozen=True):
    """The numbers of configured RSS feeds: `total` counts all of them, `active` leaves out those whose last fetch
    failed.
    """

    total: int
    active: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of the server, with all keys of the original FastAPI service that this server replaces. `epoch`
    identifies the log; `seq` is the number of its newest item and `oldest_seq` that of its oldest. `connected_users` is
    the number of users that have a connection.
    """

    total_news_items: int
    items_last_24h: int
    average_impact: float
    active_connections: int
    nitter_instances: Instances = Instances()
    rss_feeds: FeedStates
    uptime_seconds: float
    version: str
    connected_users: int
    epoch: str
    seq: int
    oldest_seq: int


class Connections(msgspec.Struct, Generic[Item], frozen=True):
    """A list of connections, newest first. `total` is the number of connections before `limit`, or the greatest size of
    a page, shortened the list.
    """

    connections: tuple[Item, ...]
    total: int


class ConnectionKicked(msgspec.Struct, frozen=True):
    """The confirmation that a connection was closed with code 4500, which tells its client not to
    reconnect by itself.
    """

    status: Literal["kicked"]
    connection_id: str
    user_id: str


class UserKicked(msgspec.Struct, frozen=True):
    """The confirmation that a user's connections were closed with code 4500, which tells their clients not to reconnect
    by themselves. `connections` is how many were open.
    """

    status: Literal["kicked"]
    user_id: str
    connections: int


class TokensRevoked(msgspec.Struct, frozen=True):
    """The confirmation that a user's tokens are revoked. `connections` is how many of the user's connections were
    closed.
    """

    status: Literal["revoked"]
    user_id: str
    connections: int


class ServerLimits(msgspec.Struct, frozen=True):
    """Every limit of the server, by group and by name. Sizes are in bytes and times in seconds, unless a name says
    otherwise.
    """

    limits: Limits


class Health(msgspec.Struct, frozen=True):
    """The health of the server, in the format of the original FastAPI service that this server replaces.
    `nitter_instances` is always empty.
    """

    status: Literal["healthy", "unhealthy"]
    database: Literal["connected", "disconnected"]
    nitter_instances: dict[str, object]
    timestamp: float


class Liveness(msgspec.Struct, frozen=True):
    """Whether the server makes progress. If `status` is `stalled`, only a restart helps."""

    status: Literal["alive", "stalled"]


class Readiness(msgspec.Struct, frozen=True):
    """Whether the server accepts new connections and items. `checks` has the result of each check, by name; the server
    is ready if every result is true.
    """

    status: Literal["ready", "not ready"]
    checks: dict[str, bool]
    version: str


class Problem(msgspec.Struct, frozen=True):
    """An error (RFC 9457): `code` is for programs, `detail` for people, `errors` names every wrong field."""

    type: str
    title: str
    status: int
    detail: str
    code: ErrorCode
    instance: str | UnsetType = UNSET
    errors: tuple[FieldProblem, ...] | UnsetType = UNSET
