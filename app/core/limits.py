"""Every limit of the server. Sizes are in bytes and times in seconds, unless the name of a limit has another unit.

Each class except `Limits` is a group of related limits, and its docstring says what they do. Most parts of the server
receive only the group that they need. Operators see the limits in `GET /api/v1/limits`, and set them as `group.name` in
`NEWS_LIMITS`.
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

    A client may send `burst` frames at once, and `rate_per_s` frames a second over time. Frames beyond that are
    ignored, and a message among them is answered with an error. After another `burst` frames in excess, the client is
    disconnected. So is a client that sends more than `max_invalid_per_min` invalid messages a minute.
    """

    max_bytes: Bytes = 16 * 1024
    rate_per_s: Rate = 10.0
    burst: Count = 30
    max_invalid_per_min: Rate = 5.0


class ConnectionLimits(msgspec.Struct, frozen=True):
    """How many WebSockets may be open at once, and how fast new ones may be opened.

    With `one_per_user`, a new connection replaces all other connections of its user. `connects_per_s` applies to all
    addresses together, so it is the rate at which clients reconnect after a restart. A connection is closed when it is
    `max_age_s` old, or up to a tenth earlier, so that connections that were opened together are not closed together.
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
    another `timeout_s`. If a user already has the maximum number of connections, another one is refused and the open
    ones are pinged. An open one that does not answer within `liveness_probe_timeout_s` is disconnected.
    """

    interval_s: Seconds = 15.0
    timeout_s: Seconds = 10.0
    liveness_probe_timeout_s: Seconds = 2.5


class DeliveryLimits(msgspec.Struct, frozen=True):
    """When a slow client leaves live delivery, when it is disconnected, and how acks and checkpoints work.

    A client leaves live delivery when more than `write_high_water_bytes` are unsent to it, or when it has
    `ack_window_items` unacknowledged items. Until it has caught up, it gets its items from the log, and it is sent more
    only while at most `write_low_water_bytes` are unsent and fewer than `ack_window_items` items are unacknowledged. It
    is disconnected if it is more than `max_lag_items` behind, but a client that asked for a replay may be any number of
    items behind. Every client that gets items from the log is disconnected if it takes no byte for `stall_timeout_s`.

    If an item stays unacknowledged for `ack_timeout_s`, all unacknowledged items are sent again. After
    `max_redeliveries` redeliveries without an ack, the client is disconnected instead. A checkpoint tells a client up
    to which seq it has every matching item. It is sent when nothing was sent for `checkpoint_interval_s`, or after
    `checkpoint_interval_items` items. The acks of at most `max_devices_per_user` devices of a user are stored.
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
    max_devices_per_user: Count = 50


class ReplayLimits(msgspec.Struct, frozen=True):
    """How the log is read for clients that resume or fell behind.

    Tasks that read items back compute one at a time, for at most `slice_s` before other tasks may run; this also holds
    for previews, queries and explanations. At most `max_concurrent_pages` pages of `page_items` items are read at the
    same time. A replay that goes back more than `unmetered_items` items is a long replay; each device of a user may
    start `max_long_per_min` of them a minute. With `last`, a client may ask for up to `max_last_items` matching items.
    They are looked for only among the newest `max_scan_items` items.
    """

    page_items: Count = 100
    slice_s: Seconds = 0.002
    max_concurrent_pages: Count = 20
    max_long_per_min: Rate = 6.0
    unmetered_items: Count = 2_000
    max_last_items: Count = 1_000
    max_scan_items: Count = 5_000


class FilterLimits(msgspec.Struct, frozen=True):
    """How many channels a connection may have, how many filters may be stored, how often a user may change filters, and
    how large a request body with a filter may be.

    A user may have stored filters for `max_stored_channels` named channels, and `max_users` users may have stored
    filters. Beyond that, a new filter is refused.
    """

    max_channels: Count = 32
    max_stored_channels: Count = 64
    max_users: Count = 1_000_000
    max_changes_per_min: Rate = 20.0
    max_body_bytes: Bytes = 64 * 1024


class PublishLimits(msgspec.Struct, frozen=True):
    """How much a publisher may send in one request, how many items may wait to be stored in the log, and for how long
    before the request fails.
    """

    max_body_bytes: Bytes = 256 * 1024
    max_batch_items: Count = 100
    max_pending_items: Count = 10_000
    timeout_s: Seconds = 5.0


class BroadcastLimits(msgspec.Struct, frozen=True):
    """How many stored items may wait to be broadcast, and for how many seconds the broadcast may make no progress
    before the server reports itself as stalled.
    """

    queue_items: Count = 1_000
    stall_timeout_s: Seconds = 30.0


class RequestLimits(msgspec.Struct, frozen=True):
    """How long an HTTP request may take to arrive, and its answer to be read, and how many calls one address and one
    user may make.

    A request has `head_timeout_s` for its head, then a minimum rate and a maximum time for its body. The connection is
    aborted if too many bytes of an answer wait for the client for `answer_timeout_s`.

    The rates are those of calls under /api/v1, for each address and for each user of a token: `publishes_per_s` for
    publishing, `reads_per_s` for all other calls. At most `max_answers_per_ip` answers may be on their way to one
    address; more calls wait. The bodies of an address that are being received or processed may hold
    `max_body_bytes_per_ip` bytes together. `max_connections_per_ip` is the number of HTTP connections of one address,
    without those that became WebSockets.
    """

    head_timeout_s: Seconds = 1.25
    min_body_rate_bytes_s: Rate = 500.0
    body_timeout_s: Seconds = 10.0
    answer_timeout_s: Seconds = 10.0
    reads_per_s: Rate = 50.0
    read_burst: Count = 100
    publishes_per_s: Rate = 1_000.0
    publish_burst: Count = 1_000
    max_answers_per_ip: Count = 32
    max_body_bytes_per_ip: Bytes = 8 * 1024 * 1024
    max_connections_per_ip: Count = 200

    def body_deadline_s(self, received_bytes: int) -> float:
        """Return the time by which the next bytes of a body must arrive, in seconds after the start of the body.
        `received_bytes` is how many bytes of it have been received.
        """
        return min(self.head_timeout_s + received_bytes / self.min_body_rate_bytes_s, self.body_timeout_s)


class HistoryLimits(msgspec.Struct, frozen=True):
    """How many items the log keeps, how many items and bytes a page of history may have, and how many items a request
    may read from the log if a filter or an entitlement is evaluated. A page has at least one item, however large.
    """

    max_items: Count = 1_000_000
    max_page_items: Count = 500
    max_page_bytes: Bytes = 512 * 1024
    max_scan_items: Count = 5_000


class FeedLimits(msgspec.Struct, frozen=True):
    """Limits of one fetch of a feed: the size of the document after decompression, the total time, the number of
    redirects, the seconds that parsing may take, and the number of entries that are used.

    The feeds of one host are fetched at most `max_fetches_per_host` at once and `fetches_per_s_per_host` a second.
    """

    max_bytes: Bytes = 25 * 1024 * 1024
    fetch_timeout_s: Seconds = 20.0
    max_redirects: Count = 3
    parse_timeout_s: Seconds = 2.0
    max_entries: Count = 2_000
    max_fetches_per_host: Count = 2
    fetches_per_s_per_host: Rate = 1.0


class AuthLimits(msgspec.Struct, frozen=True):
    """How connections without a token are limited, and what happens when a token expires.

    A connection that was opened without a token must send one within `timeout_s`. A client is warned `expiry_warning_s`
    before its token expires, and disconnected `expiry_grace_s` after its token has expired.
    """

    timeout_s: Seconds = 5.0
    max_unauthenticated_connections: Count = 1_000
    expiry_warning_s: Seconds = 60.0
    expiry_grace_s: Seconds = 30.0


class CanaryLimits(msgspec.Struct, frozen=True):
    """How often the canary, the server's own client, tests delivery with a probe item, and how long the item may take
    to arrive.
    """

    interval_s: Seconds = 5.0
    timeout_s: Seconds = 5.0


class ShutdownLimits(msgspec.Struct, frozen=True):
    """The longest time over which the server spreads the closing of its connections when it stops."""

    max_close_s: Seconds = 10.0


class Limits(msgspec.Struct, frozen=True):
    """All limits, by group. Operators name a limit by its group and its own name, such as `messages.max_bytes`."""

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
        """Return a copy of these limits with some values replaced. `values` has the new values by name, such as
        `messages.max_bytes`. Raises AttributeError for an unknown name.
        """
        changed: dict[str, msgspec.Struct] = {}
        for path, value in values.items():
            group, _, name = path.partition(".")
            before = changed.get(group, getattr(self, group))
            kind = type(getattr(before, name))
            changed[group] = msgspec.structs.replace(before, **{name: kind(value)})
        return msgspec.structs.replace(self, **changed)
