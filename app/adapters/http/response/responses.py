"""The JSON documents that the server answers with, one type each.

/openapi.json is made from these types. Items are returned as they were stored, so the types that contain items are
generic: filled with encoded JSON, described with `StoredItem`. Times are Unix seconds.
"""

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.core.errors import ErrorCode
from app.core.filters.filter import Filter
from app.core.filters.matching import Outcome
from app.core.limits import Limits
from app.core.news.item import NewsItem
from app.core.protocol.server_messages import DeliveryStatus, ExplainedStep, FieldProblem
from app.flows.connections.connection_info import ConnectionInfo

Item = TypeVar("Item")
Warnings = Annotated[tuple[FieldProblem, ...] | UnsetType, Meta(description="keys that are ignored")]


class StoredItem(NewsItem, frozen=True, kw_only=True):
    """An item and its place in the log."""

    seq: int


class Receipt(msgspec.Struct, frozen=True):
    """The item is on disk. A duplicate has the id and seq of the first one."""

    id: str
    seq: int
    duplicate: bool


class Receipts(msgspec.Struct, frozen=True):
    """One receipt for each item, in the order of the request."""

    items: tuple[Receipt, ...]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A page of stored items; `next` is the link to the page after it."""

    items: tuple[Item, ...]
    total: int
    limit: int
    offset: int
    next: str | None


class UserExplanation(msgspec.Struct, frozen=True):
    """Why a user did or did not get an item, and its status on each of the user's connections."""

    user_id: str
    item: str
    seq: int
    verdict: Outcome
    steps: tuple[ExplainedStep, ...]
    connections: tuple[DeliveryStatus, ...]


class SubscriptionSaved(msgspec.Struct, frozen=True):
    """The filter is on disk and applies."""

    status: Literal["created", "updated"]
    user_id: str
    created_at: float
    updated_at: float
    warnings: Warnings = UNSET


class StoredSubscription(Filter, frozen=True, kw_only=True):
    """A user's stored filter and where alerts go."""

    user_id: str
    alert_channels: tuple[str, ...]
    created_at: float
    updated_at: float


class SubscriptionDeleted(msgspec.Struct, frozen=True):
    """The user's filters are deleted."""

    status: Literal["deleted"]
    user_id: str


class PreviewResult(msgspec.Struct, Generic[Item], frozen=True):
    """What a filter would have matched in the last hours; `rejected` counts items by the first step that rejects."""

    hours: float
    scanned: int
    matched: int
    rejected: dict[str, int]
    per_hour: float
    samples: tuple[Item, ...]
    warnings: Warnings = UNSET


class Instances(msgspec.Struct, frozen=True):
    """Nitter instances; this release reads none."""

    total: int = 0
    healthy: int = 0
    unhealthy: int = 0


class FeedStates(msgspec.Struct, frozen=True):
    """Feeds, and how many of them could be read lately."""

    total: int
    active: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """The original's statistics, and where the log is."""

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


class Connections(msgspec.Struct, frozen=True):
    """Connections, newest first; `total` counts those beyond the limit too."""

    connections: tuple[ConnectionInfo, ...]
    total: int


class ConnectionKicked(msgspec.Struct, frozen=True):
    """A connection that was disconnected for good."""

    status: Literal["kicked"]
    connection_id: str
    user_id: str


class TokensRevoked(msgspec.Struct, frozen=True):
    """A user whose tokens are revoked, and how many connections were closed."""

    status: Literal["revoked"]
    user_id: str
    connections: int


class ServerLimits(msgspec.Struct, frozen=True):
    """Every limit by group and name: sizes in bytes, times in seconds unless a name says otherwise."""

    limits: Limits


class Health(msgspec.Struct, frozen=True):
    """The original's health document."""

    status: Literal["healthy", "unhealthy"]
    database: Literal["connected", "disconnected"]
    nitter_instances: dict[str, object]
    timestamp: float


class Liveness(msgspec.Struct, frozen=True):
    """Whether only a restart would help."""

    status: Literal["alive", "stalled"]


class Readiness(msgspec.Struct, frozen=True):
    """Whether new connections and items are welcome, and which check fails."""

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
