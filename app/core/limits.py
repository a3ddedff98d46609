"""Every limit of the server, in groups. Sizes are in bytes and times in seconds, unless the name of a limit gives
another unit.

Most parts of the server receive only their own group. Operators set limits as `group.name` in `NEWS_LIMITS` and see
them in `GET /api/v1/limits`. The docstring of a group says what its limits do.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(gt=0)]
Bytes = Annotated[int, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0)]
Rate = Annotated[float, Meta(gt=0)]


class MessageLimits(msgspec.Struct, frozen=True):
    """How large a WebSocket message of a client may be, and how fast a client may send frames and invalid messages.

    A message above the frame rate gets an error as its answer. A client that goes on until it is `burst` frames over
    the rate is disconnected, and so is one that sends more than `max_invalid_per_min` invalid messages.
    """

    max_bytes: Bytes = 16 * 1024
    rate_per_s: Rate = 10.0
    burst: Count = 30
    max_invalid_per_min: Rate = 5.0


class ConnectionLimits(msgspec.Struct, frozen=True):
    """How many WebSockets may be open at once, and how fast new ones may be opened.

    With `one_per_user` a new connection replaces the others of its user. `connects_per_s` applies to all addresses
    together: after a restart the clients reconnect at this rate. A connection is closed when it is `max_age_s` old, or
    up to a tenth earlier, so that connections that were opened together are not closed together.
    """

    max_total: Count = 10_000
    max_per_user: Count = 5
    one_per_user: bool = False
    max_per_ip: Count = 100
    connects_per_s_per_ip: Rate = 10.0
    connect_burst_per_ip: Rate = 30.0
    connects_per_s: Rate = 500.0
    connect_burst: Rate = 1_000.0
    max_age_s: Seconds = 24 * 3600.0


class HeartbeatLimits(msgspec.Struct, frozen=True):
    """When a silent client is pinged, and how long it may take to answer.

    A client is pinged after `interval_s` in which nothing was received from it, and disconnected if nothing arrives for
    another `timeout_s`. When a user who already has the maximum number of connections opens another, the open ones are
    pinged and must answer within `liveness_probe_timeout_s`.
    """

    interval_s: Seconds = 15.0
    timeout_s: Seconds = 10.0
    liveness_probe_timeout_s: Seconds = 2.5


class DeliveryLimits(msgspec.Struct, frozen=True):
    """When a slow client leaves live delivery, when it is disconnected, and how acks and checkpoints work.

    A client with more than `write_high_water_bytes` unsent, or with `ack_window_items` unacknowledged items, gets its
    items from the log instead. From the log it is sent more only while at most `write_low_water_bytes` are unsent. It
    is then disconnected if it takes no byte for `stall_timeout_s` or, unless it asked for a replay, is more than
    `max_lag_items` behind. A client is also disconnected if items stay unacknowledged for `ack_timeout_s` after
    `max_redeliveries` redeliveries. A checkpoint tells a client up to which seq it has every matching item.
    """

    write_high_water_bytes: Bytes = 256 * 1024
    write_low_water_bytes: Bytes = 64 * 1024
    socket_buffer_bytes: Bytes = 64 * 1024
    max_lag_items: Count = 50_000
    stall_timeout_s: Seconds = 30.0
    checkpoint_interval_s: Seconds = 15.0
    checkpoint_interval_items: Count = 100
    ack_window_items: Count = 1_000
    ack_timeout_s: Seconds = 15.0
    max_redeliveries: Count = 3


class ReplayLimits(msgspec.Struct, frozen=True):
    """How the log is read for clients that resume or fell behind.

    After every `items_per_yield` items other tasks may run. At most `max_concurrent_pages` pages of `page_items` items
    are read at the same time. Replays that go back more than `unmetered_items` items are limited to `max_long_per_min`
    for each device of a user. With `last` a client may ask for up to `max_last_items` matching items, which are looked
    for among the newest `max_scan_items` only.
    """

    page_items: Count = 100
    items_per_yield: Count = 10
    max_concurrent_pages: Count = 20
    max_long_per_min: Rate = 6.0
    unmetered_items: Count = 2_000
    max_last_items: Count = 1_000
    max_scan_items: Count = 5_000


class FilterLimits(msgspec.Struct, frozen=True):
    """How many channels a connection may have, how often a user may change filters, and how large a request body with a
    filter may be.
    """

    max_channels: Count = 32
    max_changes_per_min: Rate = 20.0
    max_body_bytes: Bytes = 64 * 1024


class PublishLimits(msgspec.Struct, frozen=True):
    """How much a publisher may send in one request, and how many items may wait to be stored in the log."""

    max_body_bytes: Bytes = 256 * 1024
    max_batch_items: Count = 100
    max_pending_items: Count = 10_000


class BroadcastLimits(msgspec.Struct, frozen=True):
    """How many stored items may wait to be broadcast, and after how many seconds without progress the server reports
    itself as stalled.
    """

    queue_items: Count = 1_000
    stall_timeout_s: Seconds = 30.0


class RequestLimits(msgspec.Struct, frozen=True):
    """How long an HTTP request may take to arrive: `head_timeout_s` for its head, then a minimum rate and a maximum
    time for its body.
    """

    head_timeout_s: Seconds = 1.25
    min_body_rate_bytes_s: Rate = 500.0
    body_timeout_s: Seconds = 10.0

    def body_deadline_s(self, received_bytes: int) -> float:
        """Return how many seconds after the start of a body its next bytes must arrive, given how many bytes have been
        received.
        """
        return min(self.head_timeout_s + received_bytes / self.min_body_rate_bytes_s, self.body_timeout_s)


class HistoryLimits(msgspec.Struct, frozen=True):
    """How many items the log keeps, how many a page of history returns, and how many are read to fill a page that is
    filtered.
    """

    max_items: Count = 1_000_000
    max_page_items: Count = 500
    max_scan_items: Count = 5_000


class FeedLimits(msgspec.Struct, frozen=True):
    """Limits of one fetch of a feed: the size of the document, the total time, the redirects, and the entries that are
    used.
    """

    max_bytes: Bytes = 5 * 1024 * 1024
    fetch_timeout_s: Seconds = 20.0
    max_redirects: Count = 3
    max_entries: Count = 200


class AuthLimits(msgspec.Struct, frozen=True):
    """How a connection without a token is limited, and what happens when a token expires.

    A connection that was opened without a token must send one within `timeout_s`. A client is warned `expiry_warning_s`
    before its token expires, and disconnected `expiry_grace_s` after that.
    """

    timeout_s: Seconds = 5.0
    max_unauthenticated_connections: Count = 1_000
    expiry_warning_s: Seconds = 60.0
    expiry_grace_s: Seconds = 30.0


class CanaryLimits(msgspec.Struct, frozen=True):
    """How often the canary sends a probe, and how long a probe may take."""

    interval_s: Seconds = 5.0
    timeout_s: Seconds = 5.0


class ShutdownLimits(msgspec.Struct, frozen=True):
    """The longest time over which the server spreads the closing of its connections when it stops."""

    max_close_s: Seconds = 10.0


class Limits(msgspec.Struct, frozen=True):
    """All limits. `messages.max_bytes` is the limit `max_bytes` of the group `messages`."""

    messages: MessageLimits = MessageLimits()
    connections: ConnectionLimits = ConnectionLimits()
    heartbeats: HeartbeatLimits = HeartbeatLimits()
    delivery: DeliveryLimits = DeliveryLimits()
    replays: ReplayLimits = ReplayLimits()
    filters: FilterLimits = FilterLimits()
    publishing: PublishLimits = PublishLimits()
    broadcast: BroadcastLimits = BroadcastLimits()
    requests: RequestLimits = RequestLimits()
    history: HistoryLimits = HistoryLimits()
    feeds: FeedLimits = FeedLimits()
    auth: AuthLimits = AuthLimits()
    canary: CanaryLimits = CanaryLimits()
    shutdown: ShutdownLimits = ShutdownLimits()

    def with_values(self, values: Mapping[str, float]) -> "Limits":
        """Return a copy of these limits in which the values given by `group.name` are replaced. Raises AttributeError
        for an unknown name.
        """
        changed: dict[str, msgspec.Struct] = {}
        for path, value in values.items():
            group, _, name = path.partition(".")
            before = changed.get(group, getattr(self, group))
            kind = type(getattr(before, name))
            changed[group] = msgspec.structs.replace(before, **{name: kind(value)})
        return msgspec.structs.replace(self, **changed)
