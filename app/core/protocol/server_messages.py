"""Define the messages that the server may send, one type for each.

/asyncapi.json is generated from these types and their docstrings, and `frames` encodes them. Types with `omit_defaults`
leave out every field that has its default value. Times are Unix seconds; durations are milliseconds, in fields named
`*_ms`.
"""

import msgspec

from app.core.delivery import positions
from app.core.delivery.positions import GapReason
from app.core.errors import ErrorCode, NewsError
from app.core.filters.filter import Filter
from app.core.news.item import NewsItem
from app.core.protocol.explanations import Explanation

Id = str | int | None


class FieldProblem(msgspec.Struct, frozen=True):
    """A problem with one field of a request: an error, or a warning about a key that is ignored. `pointer` is a JSON
    pointer or the name of a parameter. In an error, `detail` says what the field must be; in a warning, it says that
    the key is unknown.
    """

    pointer: str
    detail: str


class NewsMessage(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="news_item"):
    """A news item that matches a channel of this connection; `timestamp` is when the item was accepted. `channels` are
    the names of the channels that match, left out if the connection has only `default`. `replay` is true if the item
    was read from the log. `redelivered` is true if the item was sent to this client before and not acknowledged.
    """

    seq: int
    timestamp: float
    data: NewsItem
    channels: tuple[str, ...] = ()
    replay: bool = False
    redelivered: bool = False


class Pong(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="pong"):
    """The answer to `ping`, with its `t` and `id`. `seq` is the seq of the last item that the server broadcast, even if
    that item did not match on this connection.
    """

    timestamp: float
    seq: int
    t: msgspec.Raw | None = None
    id: Id = None


class Feed(msgspec.Struct, frozen=True):
    """The state of the news feed. `status` is always "ok". `last_item_age_ms` is the time since the server last
    broadcast an item, null before the first broadcast after the server's start.
    """

    status: str
    last_item_age_ms: int | None


class KeepAlive(msgspec.Struct, frozen=True, tag_field="type", tag="keep_alive"):
    """A checkpoint: the client has been sent every matching item up to `seq`. `delivered` is the number of items that
    were sent to the client since the last checkpoint.
    """

    timestamp: float
    seq: int
    delivered: int
    feed: Feed


def checkpoint_message(timestamp: float, seq: int, delivered: int, age_ms: int | None) -> KeepAlive:
    """Return a checkpoint. `age_ms` is the time since the server last broadcast an item, None before its first
    broadcast.
    """
    return KeepAlive(timestamp, seq, delivered, Feed("ok", age_ms))


class Error(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """Reports that a message of the client could not be processed, or that there is a problem with the connection
    itself. `id` is that of the client's message, left out if it has none. `errors` lists the wrong fields.
    `retry_after_ms` is how long the client should wait before the next attempt.
    """

    message: str
    timestamp: float
    code: ErrorCode
    retryable: bool
    id: Id = None
    retry_after_ms: int | None = None
    errors: tuple[FieldProblem, ...] = ()


class WelcomeLimits(msgspec.Struct, frozen=True):
    """The limits of this connection: the size and the rate of the client's messages, and the number of channels. With
    `ack=1`, at most `window_items` items may wait for an ack. An item that is not acknowledged within `ack_within_ms`
    is sent again.
    """

    message_bytes: int
    messages_per_s: float
    channels: int
    window_items: int
    ack_within_ms: int


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="welcome"):
    """The first message on a v2 connection. `seq` is the seq of the item that was broadcast last, `oldest_seq` that of
    the oldest stored item. `recovered` is true if the client resumes and every item after its position follows. If
    items may be missing, `recovered` is false and `reason` says why. The server pings a client that is silent for
    `heartbeat_ms`.
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
    """The answer to a `subscribe` with an `id`: the channel uses `filters` for the items after `seq`. `warnings` lists
    unknown keys, which were ignored.
    """

    id: str | int
    channel: str
    filters: Filter
    seq: int
    warnings: tuple[FieldProblem, ...]


class Unsubscribed(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribed"):
    """The answer to an `unsubscribe` with an `id`: the channel was removed from this connection."""

    id: str | int
    channel: str


class ChannelState(msgspec.Struct, frozen=True):
    """One channel of the connection. `filters` is null if the stored filter cannot be read. `stored` is true if the
    channel uses the filter that is stored for the user. `matched` is the number of items that the channel matched since
    it was added to the connection.
    """

    channel: str
    filters: Filter | None
    stored: bool
    matched: int


class Subscriptions(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="subscriptions"):
    """The answer to `list`: the channels of this connection, `default` first and then by name."""

    channels: tuple[ChannelState, ...]
    id: Id = None


class Acked(msgspec.Struct, frozen=True, tag_field="type", tag="acked"):
    """The answer to an `ack` with an `id`: every item up to and including `seq` is acknowledged. This `seq` is higher
    than that of the `ack` if later items were acknowledged already.
    """

    id: str | int
    seq: int


class TokenExpiring(msgspec.Struct, frozen=True, tag_field="type", tag="token_expiring"):
    """Warns that the connection's token expires at `expires_at`. Unless the client sends a newer token in `refresh`,
    the server closes the connection with 4501 half a minute after `expires_at`.
    """

    expires_at: float


class Refreshed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="refreshed"):
    """Confirms that the token in a `refresh` or `auth` message was accepted and expires at `expires_at`. It is not sent
    for an `auth` that is the first message and has no `id`: `welcome` is then the only answer.
    """

    expires_at: float
    id: Id = None


class Live(msgspec.Struct, frozen=True, tag_field="type", tag="live"):
    """The client has caught up: `replayed` items were sent from the log, and items after `seq` are sent as they are
    broadcast.
    """

    seq: int
    replayed: int


class Gap(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Announces that the items `from_seq` to `to_seq`, inclusive, are not sent, and that the client may have missed
    them. Some of these items may still be stored: they can be read at the REST path `backfill`.
    """

    from_seq: int
    to_seq: int
    reason: GapReason
    backfill: str


class Lag(msgspec.Struct, frozen=True, tag_field="type", tag="lag"):
    """The client reads or acknowledges too slowly, so its items are read from the log until it has caught up (`live`).
    `behind_items` is the number of broadcast items that are still to be read for this client, including items that do
    not match. The oldest of them was accepted `behind_ms` ago.
    """

    behind_items: int
    behind_ms: int


class Reconnect(msgspec.Struct, frozen=True, tag_field="type", tag="reconnect"):
    """The server is about to close this connection, because the server restarts or the connection is too old (`reason`:
    "restart" or "lifetime"). The client should reconnect after `after_ms`, at the position `resume`.
    """

    reason: str
    after_ms: int
    resume: str


class Preempted(msgspec.Struct, frozen=True, tag_field="type", tag="preempted"):
    """The newer connection `by` replaced this one, which is now closed with 4504."""

    by: str


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
"""Every message that is encoded from its type: all except `NewsMessage`, which `frames.news_item` builds from the
item's stored JSON.
"""


def error_message(error: NewsError, now: float, request_id: Id = None) -> Error:
    """Return the message that reports an error; `now` is in Unix seconds."""
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
    """Return the message that announces a gap. Its `backfill` is the REST path that lists the stored items from the
    start of the gap on.
    """
    backfill = f"/api/v1/news?after_seq={gap.from_seq - 1}"
    return Gap(gap.from_seq, gap.to_seq, gap.reason, backfill)
