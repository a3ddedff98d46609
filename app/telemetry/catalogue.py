"""Every metric family. This file owns their names, helps and labels, and where each one's samples are read.

A metric's help is its documentation. A label's values are an enum's, so every series is there from the start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import product
from typing import NamedTuple, TypeVar

from app.core.delivery.ack_window import AckResult
from app.core.filters.matching import Outcome
from app.core.protocol.close_codes import ADMITTED_REASONS
from app.telemetry import labels
from app.telemetry.histogram import Histogram
from app.telemetry.limit_hits import limit_hits
from app.telemetry.stats import Stats

Word = TypeVar("Word", bound=StrEnum)
Labels = tuple[str, ...]
STEPS = (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD)


class CounterFamily(NamedTuple):
    """A counter: `read` gives every sample, also those at 0. The exposition adds `_total`."""

    name: str
    help: str
    labels: Labels
    read: Callable[[Stats], Mapping[Labels, float]]


class HistogramFamily(NamedTuple):
    """A histogram for each label value, or one under the empty tuple."""

    name: str
    help: str
    labels: Labels
    read: Callable[[Stats], Mapping[Labels, Histogram]]


class GaugeFamily(NamedTuple):
    """A value that is asked for at scrape; a mapping where it has a label."""

    name: str
    help: str
    labels: Labels
    read: Callable[[], Mapping[Labels, float]]


class GaugeGroup(NamedTuple):
    """Gauges without labels whose values come from one look; `gauges` are (name, help) in the order of what is read."""

    gauges: tuple[tuple[str, str], ...]
    read: Callable[[], Sequence[float]]

    @property
    def name(self) -> str:
        return self.gauges[0][0]


def _one(name: str, text: str, read: Callable[[Stats], float]) -> CounterFamily:
    return CounterFamily(name, text, (), lambda stats: {(): read(stats)})


def _each(
    name: str, text: str, label: str, values: Iterable[Word], read: Callable[[Stats], Mapping[Word, int]]
) -> CounterFamily:
    words = tuple(values)
    return CounterFamily(
        name, text, (label,), lambda stats: {(word.value,): read(stats).get(word, 0) for word in words}
    )


def _spread(name: str, text: str, read: Callable[[Stats], Histogram]) -> HistogramFamily:
    return HistogramFamily(name, text, (), lambda stats: {(): read(stats)})


def gauge(name: str, text: str, read: Callable[[], float]) -> GaugeFamily:
    """Describe a gauge without a label."""
    return GaugeFamily(name, text, (), lambda: {(): read()})


def gauges(name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> GaugeFamily:
    """Describe a gauge with one label."""
    return GaugeFamily(name, text, (label,), lambda: {(word,): value for word, value in read().items()})


SEND_BUFFER_GAUGES = (
    ("news_send_buffer_bytes", "Bytes in all write buffers."),
    ("news_send_buffer_max_bytes", "Bytes in the fullest."),
    ("news_connections_paused", "Connections with over 64 KiB unsent."),
    ("news_behind_max_items", "Items that the connection furthest behind has yet to read from the log."),
    ("news_unacked_items", "Items sent to connections in ack mode and not acknowledged."),
)

COUNTERS: tuple[CounterFamily, ...] = (
    _one(
        "news_connections_opened",
        "WebSocket connections accepted after a successful handshake.",
        lambda s: s.connections.opened,
    ),
    _each(
        "news_connections_closed",
        "Connections closed, by what ended them.",
        "reason",
        ADMITTED_REASONS,
        lambda s: s.connections.closed,
    ),
    _each(
        "news_handshake_failures",
        "Upgrade requests refused or failed before the 101, by reason.",
        "reason",
        labels.Refusal,
        lambda s: s.connections.refused,
    ),
    _each(
        "news_auth_attempts",
        "Callers asked for a token, by what came of it.",
        "result",
        labels.TokenCheck,
        lambda s: s.connections.token_checks,
    ),
    _each("news_pings", "Heartbeats by outcome.", "result", labels.Beat, lambda s: s.connections.beats),
    _each(
        "news_client_messages", "Messages understood, by type.", "type", labels.Inbound, lambda s: s.connections.inbound
    ),
    _each(
        "news_client_messages_invalid",
        "Messages refused, by reason.",
        "reason",
        labels.Invalid,
        lambda s: s.connections.invalid,
    ),
    _one(
        "news_client_received_bytes",
        "Bytes received from clients after the upgrade.",
        lambda s: s.connections.received_bytes,
    ),
    _each(
        "news_rate_limited",
        "Refusals by a rate limit.",
        "scope",
        labels.RateScope,
        lambda s: s.connections.rate_limited,
    ),
    _each("news_limit_hits", "Refusals and endings by a limit.", "limit", labels.LimitHit, limit_hits),
    _each(
        "news_items_accepted",
        "Items stored, by the way they came in.",
        "source_type",
        labels.Intake,
        lambda s: s.intake.accepted,
    ),
    _each(
        "news_items_rejected", "Items not stored, by reason.", "reason", labels.Rejection, lambda s: s.intake.rejected
    ),
    _each("news_feed_fetches", "Looks at feeds, by result.", "result", labels.Fetch, lambda s: s.intake.fetches),
    _each(
        "news_items_broadcast",
        "Items that left the broadcaster.",
        "result",
        labels.Broadcast,
        lambda s: s.broadcast.broadcast,
    ),
    _each(
        "news_filter_decisions",
        "Item x slot decisions: matched, or the first step that rejected. Sums to items x live slots.",
        "outcome",
        Outcome,
        lambda s: s.broadcast.decisions,
    ),
    _one(
        "news_filter_slots_asked",
        "Live slots at each broadcast: what decisions must sum to.",
        lambda s: s.broadcast.slots_asked,
    ),
    _each(
        "news_filter_misses",
        "Item x slot pairs that this step alone would have rejected (not exclusive).",
        "dimension",
        STEPS,
        lambda s: s.broadcast.misses,
    ),
    _each(
        "news_sends",
        "Item x slot sends by result; merged: another channel of the connection carried it. Sums to matched.",
        "result",
        labels.Sent,
        lambda s: s.broadcast.sends,
    ),
    _one(
        "news_items_late",
        "Items whose last recipient was reached more than 100 ms late.",
        lambda s: s.broadcast.late_items,
    ),
    _each(
        "news_slow_consumers",
        "What was done to slow clients.",
        "action",
        labels.SlowAction,
        lambda s: s.connections.slow,
    ),
    _each(
        "news_resumes",
        "Connections that asked for what they missed.",
        "result",
        labels.Resume,
        lambda s: s.recovery.resumes,
    ),
    _one(
        "news_replayed_items",
        "Items read from the log and sent to one connection.",
        lambda s: s.recovery.replayed_items,
    ),
    _one("news_replay_errors", "Items that could not be decided when read back.", lambda s: s.recovery.replay_errors),
    _one("news_gap_items", "Items announced as gone for good to a connection.", lambda s: s.recovery.gap_items),
    _each("news_acks", "Acknowledgements by result.", "result", AckResult, lambda s: s.recovery.acks),
    _each(
        "news_redeliveries",
        "Items sent again to a client.",
        "reason",
        labels.Redelivery,
        lambda s: s.recovery.redelivered,
    ),
    _one(
        "news_redeliveries_exhausted",
        "Connections ended because they never acknowledged.",
        lambda s: s.recovery.redeliveries_exhausted,
    ),
    _each(
        "news_sent_payload_bytes",
        "Payload bytes of items sent.",
        "encoding",
        labels.Encoding,
        lambda s: s.broadcast.payload_bytes,
    ),
    _each(
        "news_sent_wire_bytes",
        "Bytes of items written, with framing.",
        "encoding",
        labels.Encoding,
        lambda s: s.broadcast.wire_bytes,
    ),
    _each(
        "news_frames_encoded",
        "Item frames encoded; sends / frames is how often one is reused.",
        "encoding",
        labels.Encoding,
        lambda s: s.broadcast.frames,
    ),
    _each(
        "news_canary_probes",
        "Probes of the canary by how they ended.",
        "result",
        labels.ProbeResult,
        lambda s: s.server.probes,
    ),
    CounterFamily(
        "news_http_requests",
        "HTTP requests by route template, method and class of status.",
        ("route", "method", "code"),
        lambda s: {
            (route, method.value, code.value): s.server.requests[route, method, code]
            for route, method, code in _requests(s)
        },
    ),
    CounterFamily(
        "news_db_errors",
        "Database failures.",
        ("operation", "kind"),
        lambda s: {
            (operation.value, fault.value): s.server.db_faults[operation, fault]
            for operation, fault in product(labels.Operation, labels.Fault)
        },
    ),
    _each("news_log_messages", "Log lines by level.", "level", labels.Severity, lambda s: s.server.log_lines),
    _one("news_scrape_errors", "Gauges that could not be read at scrape.", lambda s: s.server.scrape_errors),
)

HISTOGRAMS: tuple[HistogramFamily, ...] = (
    _spread("news_connection_duration_seconds", "Life of closed connections.", lambda s: s.connections.lives),
    _spread(
        "news_handshake_duration_seconds",
        "Upgrade request received to 101 written.",
        lambda s: s.connections.handshakes,
    ),
    _spread("news_ping_rtt_seconds", "Server ping to client pong.", lambda s: s.connections.round_trips),
    _spread("news_queue_wait_seconds", "Item accepted to taken by the broadcaster.", lambda s: s.broadcast.queue_wait),
    HistogramFamily(
        "news_broadcast_duration_seconds",
        "Work of one broadcast, by stage.",
        ("stage",),
        lambda s: {(stage.value,): times for stage, times in s.broadcast.stages.items()},
    ),
    _spread("news_broadcast_recipients", "Slots matched by one item.", lambda s: s.broadcast.recipients),
    _spread(
        "news_delivery_latency_seconds", "Item accepted to frame handed to the socket.", lambda s: s.broadcast.delivery
    ),
    _spread(
        "news_replay_items",
        "Items that one replay sent, until its connection was live or gone.",
        lambda s: s.recovery.replays,
    ),
    _spread("news_ack_latency_seconds", "Item accepted to acknowledged by its client.", lambda s: s.recovery.ack_times),
    _spread(
        "news_canary_latency_seconds", "Probe accepted to received by our own client.", lambda s: s.server.probe_times
    ),
    HistogramFamily(
        "news_http_request_duration_seconds",
        "HTTP request time by route template.",
        ("route",),
        lambda s: {(route,): times for route, times in s.server.request_times.items()},
    ),
    HistogramFamily(
        "news_db_operation_duration_seconds",
        "Database operation, with the wait for its thread and, for changes, for the disk.",
        ("operation",),
        lambda s: {(operation.value,): times for operation, times in s.server.db_times.items()},
    ),
    _spread("news_event_loop_lag_seconds", "Late wake-up of a 100 ms timer.", lambda s: s.server.loop_lag),
)


def stats_gauges(stats: Stats) -> tuple[GaugeFamily, ...]:
    """Describe the gauges that `Stats` holds. Times are stamps, not ages: a stamp that stands still is seen."""
    return (
        gauge(
            "news_broadcaster_last_loop_timestamp_seconds",
            "Unix time of the broadcaster's last turn; it turns when idle too.",
            lambda: stats.broadcast.last_loop_at,
        ),
        gauge(
            "news_broadcaster_last_item_timestamp_seconds",
            "Unix time of the last broadcast; 0 before the first.",
            lambda: stats.broadcast.last_item_at,
        ),
        gauge(
            "news_canary_last_success_timestamp_seconds",
            "Unix time at which a probe of the canary last arrived; 0 before the first.",
            lambda: stats.server.last_probe_at,
        ),
        gauge("news_scrape_duration_seconds", "Time that the previous collection took.", lambda: stats.server.scrape_s),
    )


def _requests(stats: Stats) -> Iterable[tuple[str, labels.Method, labels.StatusClass]]:
    """Give every request that can be counted: what was, and each route's 2xx, 4xx and 5xx from the start."""
    usual = product(
        stats.server.request_methods, (labels.StatusClass.OK, labels.StatusClass.THEIRS, labels.StatusClass.OURS)
    )
    return dict.fromkeys([*((route, method, code) for (route, method), code in usual), *stats.server.requests])
