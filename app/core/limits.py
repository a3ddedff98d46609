"""Every limit of the server, in groups. Sizes are in bytes and times in seconds unless a name says otherwise.

Each part of the server is given its own group. Operators see and set limits as `group.name`: `NEWS_LIMITS` and
`GET /api/v1/limits`. The docstring of a group says what its limits do.
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
    """What a client may send on a WebSocket: a connection that exceeds a rate is answered, then closed."""

    max_bytes: Bytes = 16 * 1024
    rate_per_s: Rate = 10.0
    burst: Count = 30
    max_invalid_per_min: Rate = 5.0


class ConnectionLimits(msgspec.Struct, frozen=True):
    """How many WebSockets there may be, and how fast new ones may come.

    `connects_per_s` meters all addresses together: after a restart the clients come back at this rate. A connection
    ends at `max_age_s`, up to a tenth earlier, so that connections opened together do not close together.
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

    `liveness_probe_timeout_s` is for the ping that is sent when a user has no connection left to give.
    """

    interval_s: Seconds = 15.0
    timeout_s: Seconds = 10.0
    liveness_probe_timeout_s: Seconds = 2.5


class DeliveryLimits(msgspec.Struct, frozen=True):
    """When a slow client leaves live delivery, when it is disconnected, and how acks and checkpoints work.

    Above `write_high_water_bytes` unsent a client reads the log instead; it is sent more once at most
    `write_low_water_bytes` are left. It is disconnected after `stall_timeout_s` without taking a byte, `max_lag_items`
    behind, or after `max_redeliveries` of items that it did not acknowledge within `ack_timeout_s`. A checkpoint tells
    a client up to which seq it has everything.
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

    The event loop runs other work after `items_per_yield` items. Replays of more than `unmetered_items` items are
    metered for each user and device. `last` may ask for up to `max_last_items`, which are looked for among the newest
    `max_scan_items`.
    """

    page_items: Count = 100
    items_per_yield: Count = 10
    max_concurrent_pages: Count = 20
    max_long_per_min: Rate = 6.0
    unmetered_items: Count = 2_000
    max_last_items: Count = 1_000
    max_scan_items: Count = 5_000


class FilterLimits(msgspec.Struct, frozen=True):
    """How many channels a connection may have, and how often a user may change a filter."""

    max_channels: Count = 32
    max_changes_per_min: Rate = 20.0
    max_body_bytes: Bytes = 64 * 1024


class PublishLimits(msgspec.Struct, frozen=True):
    """What a publisher may send at once, and how many items may wait for the log."""

    max_body_bytes: Bytes = 256 * 1024
    max_batch_items: Count = 100
    max_pending_items: Count = 10_000


class BroadcastLimits(msgspec.Struct, frozen=True):
    """The queue before the broadcaster, and after how long without progress the server counts as stalled."""

    queue_items: Count = 1_000
    stall_timeout_s: Seconds = 30.0


class RequestLimits(msgspec.Struct, frozen=True):
    """How long an HTTP request may take to arrive: its head, and then its body."""

    head_timeout_s: Seconds = 1.25
    min_body_rate_bytes_s: Rate = 500.0
    body_timeout_s: Seconds = 10.0

    def body_deadline_s(self, received_bytes: int) -> float:
        """Return how many seconds after its head a body has to go on, given how many bytes have arrived."""
        return min(self.head_timeout_s + received_bytes / self.min_body_rate_bytes_s, self.body_timeout_s)


class HistoryLimits(msgspec.Struct, frozen=True):
    """How many items the log keeps, a page holds, and a search through a filter looks at."""

    max_items: Count = 1_000_000
    max_page_items: Count = 500
    max_scan_items: Count = 5_000


class FeedLimits(msgspec.Struct, frozen=True):
    """What is read from one feed at a time."""

    max_bytes: Bytes = 5 * 1024 * 1024
    fetch_timeout_s: Seconds = 20.0
    max_redirects: Count = 3
    max_entries: Count = 200


class AuthLimits(msgspec.Struct, frozen=True):
    """How long a connection may stay without a token, and when a client is told that its token expires.

    A connection ends `expiry_grace_s` after its token expired.
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
    """Over how long a time all connections are closed when the server stops."""

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
        """Return these limits with other values, given by `group.name`. Raises AttributeError for unknown names."""
        changed: dict[str, msgspec.Struct] = {}
        for path, value in values.items():
            group, _, name = path.partition(".")
            before = changed.get(group, getattr(self, group))
            kind = type(getattr(before, name))
            changed[group] = msgspec.structs.replace(before, **{name: kind(value)})
        return msgspec.structs.replace(self, **changed)
