"""Parse the setting `NEWS_LIMITS`, by which operators change limits: `group.name=value,…`. An error says what the wrong
entry must be.
"""

from collections.abc import Mapping

import msgspec

from app.core.limits import Limits
from app.core.validation.values import InvalidValue, Value, did_you_mean, positive

_OWN_SETTINGS = {
    "connections.max_total": "NEWS_MAX_CONNECTIONS",
    "connections.max_per_user": "NEWS_MAX_CONNECTIONS_PER_USER",
    "connections.one_per_user": "NEWS_CONNECTION_POLICY",
    "connections.max_per_ip": "NEWS_MAX_CONNECTIONS_PER_IP",
    "connections.connects_per_s_per_ip": "NEWS_CONNECT_RATE_PER_IP",
    "connections.connect_burst_per_ip": "NEWS_CONNECT_RATE_PER_IP",
    "heartbeats.interval_s": "NEWS_HEARTBEAT_S",
}

# Limits had flat names in earlier builds. The server refuses to start if NEWS_LIMITS contains one of these names: if it
# ignored the entry, the limit would silently return to its default.
RENAMED: Mapping[str, str] = {
    "message_bytes": "messages.max_bytes",
    "messages_per_s": "messages.rate_per_s",
    "message_burst": "messages.burst",
    "bad_messages_per_min": "messages.max_invalid_per_min",
    "connections": "connections.max_total",
    "connections_per_user": "connections.max_per_user",
    "is_one_per_user": "connections.one_per_user",
    "connections_per_address": "connections.max_per_ip",
    "connects_per_address_s": "connections.connects_per_s_per_ip",
    "connect_burst": "connections.connect_burst_per_ip",
    "server_connects_s": "connections.connects_per_s",
    "server_connect_burst": "connections.connect_burst",
    "connection_life_s": "connections.max_age_s",
    "heartbeat_s": "heartbeats.interval_s",
    "heartbeat_grace_s": "heartbeats.timeout_s",
    "doubt_s": "heartbeats.liveness_probe_timeout_s",
    "keep_alive_s": "delivery.checkpoint_interval_s",
    "checkpoint_items": "delivery.checkpoint_interval_items",
    "write_buffer_bytes": "delivery.write_high_water_bytes",
    "room_bytes": "delivery.write_low_water_bytes",
    "send_buffer_bytes": "delivery.socket_buffer_bytes",
    "lag_items": "delivery.max_lag_items",
    "stuck_s": "delivery.stall_timeout_s",
    "page_of_log_items": "replays.page_items",
    "log_items_a_turn": "replays.slice_s",
    "pages_at_once": "replays.max_concurrent_pages",
    "replays_per_min": "replays.max_long_per_min",
    "free_replay_items": "replays.unmetered_items",
    "last_items": "replays.max_last_items",
    "window_items": "delivery.ack_window_items",
    "ack_within_s": "delivery.ack_timeout_s",
    "redeliveries": "delivery.max_redeliveries",
    "channels": "filters.max_channels",
    "filter_changes_per_min": "filters.max_changes_per_min",
    "subscription_body_bytes": "filters.max_body_bytes",
    "publish_body_bytes": "publishing.max_body_bytes",
    "publish_batch_items": "publishing.max_batch_items",
    "intake_items": "publishing.max_pending_items",
    "broadcast_queue_items": "broadcast.queue_items",
    "broadcaster_idle_s": "broadcast.stall_timeout_s",
    "request_patience_s": "requests.head_timeout_s",
    "body_bytes_s": "requests.min_body_rate_bytes_s",
    "body_read_s": "requests.body_timeout_s",
    "page_items": "history.max_page_items",
    "scan_items": "history.max_scan_items",
    "history_items": "history.max_items",
    "feed_bytes": "feeds.max_bytes",
    "feed_fetch_s": "feeds.fetch_timeout_s",
    "feed_redirects": "feeds.max_redirects",
    "feed_entries": "feeds.max_entries",
    "auth_within_s": "auth.timeout_s",
    "guests": "auth.max_unauthenticated_connections",
    "token_warning_s": "auth.expiry_warning_s",
    "token_grace_s": "auth.expiry_grace_s",
    "probe_every_s": "canary.interval_s",
    "probe_timeout_s": "canary.timeout_s",
    "drain_s": "shutdown.max_close_s",
}
# One old limit had two meanings.
_ALSO = {"scan_items": " (for requests), or replays.max_scan_items (for since.last)"}


def parse_limit_overrides(text: str) -> dict[str, float]:
    """Parse `group.name=value,…` into values by `group.name`.

    Raises InvalidValue for a value that the limit does not accept, for an unknown or old name, and for a limit that has
    a setting of its own.
    """
    values: dict[str, float] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        name, sign, value = map(str.strip, entry.partition("="))
        parsed = _value_of(name)
        if name in values:
            raise InvalidValue(f"{name}: must be set only once")
        if not sign:
            raise InvalidValue(f"{name}: must be followed by =value")
        try:
            values[name] = parsed.parse(value)
        except InvalidValue as error:
            raise InvalidValue(f"{name} {error}") from None
    return values


def _value_of(name: str) -> Value:
    """Return the parser of a limit's values. Raises InvalidValue if NEWS_LIMITS cannot set a limit of this name."""
    if name in RENAMED:
        raise InvalidValue(f"{name} is now {_OWN_SETTINGS.get(RENAMED[name], RENAMED[name])}{_ALSO.get(name, '')}")
    if name in _OWN_SETTINGS:
        raise InvalidValue(f"{name} is set by {_OWN_SETTINGS[name]}")
    if name not in _SETTABLE:
        nearest = did_you_mean(name, _SETTABLE)
        raise InvalidValue(
            f"{name}: unknown limit{nearest}; must be group.name=value, separated by commas, with a name that"
            " GET /api/v1/limits shows"
        )
    return _SETTABLE[name]


def _settable() -> dict[str, Value]:
    """Return a parser for every limit that NEWS_LIMITS may set, by `group.name`. Limits that have a setting of their
    own are left out.
    """
    limits = {
        f"{group.name}.{limit.name}": positive(limit.type)
        for group in msgspec.structs.fields(Limits)
        for limit in msgspec.structs.fields(group.type)
    }
    return {name: value for name, value in limits.items() if name not in _OWN_SETTINGS}


_SETTABLE = _settable()
