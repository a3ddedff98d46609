"""The messages that the server may send, one type each.

A message's fields are its documentation: /asyncapi.json is generated from these types, and `frames` encodes them.
Fields with a default are left out when they have it. Times are Unix seconds, durations `*_ms`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from app.core.delivery import positions
from app.core.delivery.positions import GapReason
from app.core.errors import ErrorCode, NewsError
from app.core.filters.filter import Filter
from app.core.filters.matching import Outcome
from app.core.news.item import NewsItem

Id = str | int | None


class FieldProblem(msgspec.Struct, frozen=True):
    """One field: its JSON pointer or parameter name, and what it must be or what was noticed."""

    pointer: str
    detail: str


class NewsMessage(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="news_item"):
    """An item that matches. `channels` if the connection has named channels; `replay` if it was read from the log;
    `redelivered` if it was sent to this client before and not acknowledged.
    """

    seq: int
    timestamp: float
    data: NewsItem
    channels: tuple[str, ...] = ()
    replay: bool = False
    redelivered: bool = False


class Pong(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="pong"):
    """The answer to a ping; `seq` is the item that was broadcast last."""

    timestamp: float
    seq: int
    t: float | str | None = None
    id: Id = None


class Feed(msgspec.Struct, frozen=True):
    """The state of the news flow; `last_item_age_ms` is null before the first item."""

    status: str
    last_item_age_ms: int | None


class KeepAlive(msgspec.Struct, frozen=True, tag_field="type", tag="keep_alive"):
    """A checkpoint: the client has every matching item up to `seq`, `delivered` of them since the last checkpoint."""

    timestamp: float
    seq: int
    delivered: int
    feed: Feed


def checkpoint_message(timestamp: float, seq: int, delivered: int, age_ms: int | None) -> KeepAlive:
    """Make a checkpoint; `age_ms` is the age of the newest item."""
    return KeepAlive(timestamp, seq, delivered, Feed("ok", age_ms))


class Error(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """A request that failed; `id` is the request's."""

    message: str
    timestamp: float
    code: ErrorCode
    retryable: bool
    id: Id = None
    retry_after_ms: int | None = None
    errors: tuple[FieldProblem, ...] = ()


class WelcomeLimits(msgspec.Struct, frozen=True):
    """The limits of this connection."""

    message_bytes: int
    messages_per_s: float
    channels: int
    window_items: int
    ack_within_ms: int


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="welcome"):
    """The first message of v2. `seq` is the item that was broadcast last, `oldest_seq` the oldest that can be resumed
    from; `recovered` announces that everything after the requested position follows, `reason` why it does not.
    """

    connection_id: str
    user_id: str
    device_id: str | None
    epoch: str
    seq: int
    oldest_seq: int
    recovered: bool
    reason: GapReason | None
    heartbeat_ms: int
    server_time: float
    limits: WelcomeLimits
    channels: tuple[str, ...]
    protocol: str = "news.v2"


class Subscribed(msgspec.Struct, frozen=True, tag_field="type", tag="subscribed"):
    """A channel has this filter now, for items after `seq`."""

    id: str | int
    channel: str
    filters: Filter
    seq: int
    warnings: tuple[FieldProblem, ...]


class Unsubscribed(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribed"):
    """A channel was removed from the connection."""

    id: str | int
    channel: str


class ChannelState(msgspec.Struct, frozen=True):
    """One channel: its filter (null if the stored one cannot be read), whether it is the stored one, and its number of
    matched items.
    """

    channel: str
    filters: Filter | None
    stored: bool
    matched: int


class Subscriptions(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="subscriptions"):
    """The connection's channels."""

    channels: tuple[ChannelState, ...]
    id: Id = None


class Acked(msgspec.Struct, frozen=True, tag_field="type", tag="acked"):
    """Everything up to `seq` is acknowledged."""

    id: str | int
    seq: int


class TokenExpiring(msgspec.Struct, frozen=True, tag_field="type", tag="token_expiring"):
    """The token expires soon: send `refresh` with a newer one, or the connection is closed with 4501 half a minute
    later.
    """

    expires_at: float


class Refreshed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="refreshed"):
    """The newer token was accepted; it expires at `expires_at`."""

    expires_at: float
    id: Id = None


class Live(msgspec.Struct, frozen=True, tag_field="type", tag="live"):
    """The replay is complete, after `replayed` items; what follows `seq` is sent as it is broadcast."""

    seq: int
    replayed: int


class Gap(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Items `from_seq` to `to_seq` may have been missed; `backfill` is where those that are still stored
    can be read.
    """

    from_seq: int
    to_seq: int
    reason: GapReason
    backfill: str


class Lag(msgspec.Struct, frozen=True, tag_field="type", tag="lag"):
    """The client reads too slowly: from here on its items are read from the log. `behind_items` are due, the oldest of
    them `behind_ms` old.
    """

    behind_items: int
    behind_ms: int


class Reconnect(msgspec.Struct, frozen=True, tag_field="type", tag="reconnect"):
    """The server is about to close this connection: reconnect after `after_ms`, at the position `resume`."""

    reason: str
    after_ms: int
    resume: str


class Preempted(msgspec.Struct, frozen=True, tag_field="type", tag="preempted"):
    """Another connection of this device replaced this one."""

    by: str


class ExplainedStep(msgspec.Struct, frozen=True):
    """One step: whether the item passes it, what the filter requires, what the item has."""

    step: Outcome
    met: bool
    want: dict[str, object]
    got: dict[str, object]


class DeliveryStatus(msgspec.Struct, frozen=True):
    """What happened to the item on one channel of one connection."""

    connection_id: str
    channel: str
    state: str
    verdict: Outcome
    filter: Annotated[str, Meta(description="stored or own")]


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="explanation"):
    """Why this connection did or did not get an item."""

    item: str
    seq: int
    verdict: Outcome
    steps: tuple[ExplainedStep, ...]
    connections: tuple[DeliveryStatus, ...]
    id: Id = None


Message = (
    Pong
    | KeepAlive
    | Error
    | Welcome
    | Subscribed
    | Unsubscribed
    | Subscriptions
    | Acked
    | TokenExpiring
    | Refreshed
    | Live
    | Gap
    | Lag
    | Reconnect
    | Preempted
    | Explanation
)
"""Every message except `NewsMessage`, whose bytes are spliced and not encoded."""


def error_message(error: NewsError, now: float, request_id: Id = None) -> Error:
    """Make the message for an error; `now` in Unix seconds."""
    return Error(
        message=error.detail,
        timestamp=now,
        code=error.code,
        retryable=error.spec.is_retryable,
        id=request_id,
        retry_after_ms=None if error.retry_after_s is None else int(error.retry_after_s * 1000),
        errors=tuple(FieldProblem(*bad) for bad in error.fields),
    )


def gap_message(gap: positions.LogGap) -> Gap:
    """Make the message for a gap, with the path of what is still stored."""
    backfill = f"/api/v1/news?after_seq={gap.from_seq - 1}"
    return Gap(gap.from_seq, gap.to_seq, gap.reason, backfill)
