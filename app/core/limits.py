"""Every limit. This file owns their values and the token bucket that meters rates."""

from typing import NamedTuple


class Limits(NamedTuple):
    """What the server bears. Sizes in bytes, times in seconds unless the name says otherwise."""

    message_bytes: int = 16 * 1024
    messages_per_s: float = 10.0
    message_burst: int = 30
    connections: int = 10_000
    connections_per_user: int = 5
    is_one_per_user: bool = False
    connections_per_address: int = 100
    connects_per_address_s: float = 10.0
    connect_burst: float = 30.0
    # Of all addresses together: a restart lets everybody in again at this rate, and who was in before is not hurt.
    server_connects_s: float = 500.0
    server_connect_burst: float = 1_000.0
    bad_messages_per_min: float = 5.0
    # Less up to a tenth, so that those who came together do not leave together.
    connection_life_s: float = 24 * 3600.0
    heartbeat_s: float = 15.0
    heartbeat_grace_s: float = 10.0
    doubt_s: float = 2.5
    write_buffer_bytes: int = 256 * 1024
    room_bytes: int = 64 * 1024
    send_buffer_bytes: int = 64 * 1024
    lag_items: int = 50_000
    stuck_s: float = 30.0
    page_of_log_items: int = 100
    # The loop turns after so many, so that reading back delays nobody who is live.
    log_items_a_turn: int = 10
    pages_at_once: int = 20
    replays_per_min: float = 6.0
    free_replay_items: int = 2_000
    last_items: int = 1_000
    window_items: int = 1_000
    ack_within_s: float = 15.0
    redeliveries: int = 3
    channels: int = 32
    filter_changes_per_min: float = 20.0
    keep_alive_s: float = 15.0
    checkpoint_items: int = 100
    intake_items: int = 10_000
    broadcast_queue_items: int = 1_000
    publish_body_bytes: int = 256 * 1024
    publish_batch_items: int = 100
    subscription_body_bytes: int = 64 * 1024
    # How long a head may take from its first byte, and a body before so many bytes a second are expected of it.
    request_patience_s: float = 1.25
    body_bytes_s: float = 500.0
    body_read_s: float = 10.0
    page_items: int = 500
    scan_items: int = 5_000
    history_items: int = 1_000_000
    feed_bytes: int = 5 * 1024 * 1024
    feed_fetch_s: float = 20.0
    feed_redirects: int = 3
    feed_entries: int = 200
    drain_s: float = 10.0
    auth_within_s: float = 5.0
    # Who is in and has not said who it is.
    guests: int = 1_000
    token_warning_s: float = 60.0
    token_grace_s: float = 30.0
    probe_every_s: float = 5.0
    probe_timeout_s: float = 5.0
    broadcaster_idle_s: float = 30.0


def body_deadline_s(read_bytes: int, limits: Limits) -> float:
    """Give how many seconds after its head a body has to go on, of which so much has come."""
    return min(limits.request_patience_s + read_bytes / limits.body_bytes_s, limits.body_read_s)


class TokenBucket:
    """A rate with a burst. Time is given in seconds of a monotonic clock; one bucket costs two floats."""

    __slots__ = ("_tokens", "_updated_at")

    def __init__(self, burst: float, now: float) -> None:
        self._tokens = burst
        self._updated_at = now

    def take(self, now: float, rate: float, burst: float) -> float:
        """Take one token and give what is left. A negative rest means too fast, and how far in debt, down to -burst."""
        refilled = min(burst, self._tokens + (now - self._updated_at) * rate)
        self._updated_at = now
        self._tokens = max(refilled - 1.0, -burst)
        return self._tokens

    def refund(self) -> None:
        """Put back a token that bought nothing."""
        self._tokens += 1.0


class KeyedRateLimiter:
    """A rate a key: for what many may do, each not too often. The keys used least lately are forgotten first."""

    def __init__(self, per_s: float, burst: float, most_keys: int = 10_000) -> None:
        self._per_s = per_s
        self._burst = burst
        self._most_keys = most_keys
        self._buckets: dict[str, TokenBucket] = {}

    def acquire(self, key: str, now: float) -> float:
        """Take one; give 0, or how long this key has to wait before its next one."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most_keys:
            del self._buckets[next(iter(self._buckets))]
        left = bucket.take(now, self._per_s, self._burst)
        if left >= 0:
            return 0.0
        # Who was refused owes nothing: after this wait the next one is to be had.
        bucket.refund()
        return -left / self._per_s
