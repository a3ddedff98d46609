"""Every counter and gauge that is read from `Stats`: its name, help and labels, and where its samples are read.

A metric's help is its documentation. Label values are members of enums or registered routes, so all are known in
advance and their series exist from the start. The exceptions are HTTP requests with a rare combination of route, method
and status: their series exists once the first of them is counted. The histograms are defined in `distributions`, the
gauges that read flows in flows/operations/gauges.
"""

from collections.abc import Iterable
from itertools import product

from app.core.delivery.ack_window import AckResult
from app.core.filters.matching import Outcome
from app.core.news.feed_entry import EntryOutcome
from app.core.protocol.close_codes import ADMITTED_REASONS
from app.telemetry import labels
from app.telemetry.families import CounterFamily, GaugeFamily, counter, counters, gauge
from app.telemetry.limit_hits import limit_hits
from app.telemetry.stats import Stats

STEPS = (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD)

SEND_BUFFER_GAUGES = (
    ("news_send_buffer_bytes", "Bytes in all write buffers."),
    ("news_send_buffer_max_bytes", "Bytes in the fullest write buffer."),
    ("news_connections_paused", "Connections with over 64 KiB unsent."),
    ("news_behind_max_items", "Items that the connection that lags most has yet to read from the log."),
    ("news_unacked_items", "Items sent to connections in ack mode and not acknowledged."),
)

COUNTERS: tuple[CounterFamily, ...] = (
    counter(
        "news_connections_opened",
        "WebSocket connections accepted after a successful handshake.",
        lambda s: s.connections.opened,
    ),
    counters(
        "news_connections_closed",
        "Connections closed, by what ended them.",
        "reason",
        ADMITTED_REASONS,
        lambda s: s.connections.closed,
    ),
    counters(
        "news_handshake_failures",
        "Upgrade requests refused or failed before the 101, by reason.",
        "reason",
        labels.Refusal,
        lambda s: s.connections.refused,
    ),
    counters(
        "news_auth_attempts",
        "Token checks, by result.",
        "result",
        labels.TokenCheck,
        lambda s: s.connections.token_checks,
    ),
    counters("news_pings", "Heartbeats by outcome.", "result", labels.Beat, lambda s: s.connections.beats),
    counters(
        "news_client_messages", "Messages understood, by type.", "type", labels.Inbound, lambda s: s.connections.inbound
    ),
    counters(
        "news_client_messages_invalid",
        "Messages refused, by reason.",
        "reason",
        labels.Invalid,
        lambda s: s.connections.invalid,
    ),
    counter(
        "news_client_received_bytes",
        "Bytes received from clients after the upgrade.",
        lambda s: s.connections.received_bytes,
    ),
    counters(
        "news_rate_limited",
        "Refusals by a rate limit.",
        "scope",
        labels.RateScope,
        lambda s: s.connections.rate_limited,
    ),
    counters(
        "news_limit_hits", "Requests refused and connections closed by a limit.", "limit", labels.LimitHit, limit_hits
    ),
    counters(
        "news_items_accepted",
        "Items stored, by source.",
        "source_type",
        labels.Intake,
        lambda s: s.intake.accepted,
    ),
    counters(
        "news_items_rejected", "Items not stored, by reason.", "reason", labels.Rejection, lambda s: s.intake.rejected
    ),
    counters(
        "news_feed_entries",
        "Entries of fetched feeds, by what became of them.",
        "outcome",
        EntryOutcome,
        lambda s: s.intake.entries,
    ),
    counters("news_feed_fetches", "Fetches of feeds, by result.", "result", labels.Fetch, lambda s: s.intake.fetches),
    counters(
        "news_items_broadcast",
        "Items that left the broadcaster.",
        "result",
        labels.Broadcast,
        lambda s: s.broadcast.broadcast,
    ),
    counters(
        "news_filter_decisions",
        "Item x slot decisions: matched, or the first step that rejected. Sums to items x live slots.",
        "outcome",
        Outcome,
        lambda s: s.broadcast.decisions,
    ),
    counter(
        "news_filter_slots_asked",
        "Live slots at each broadcast, summed: what decisions must sum to.",
        lambda s: s.broadcast.slots_asked,
    ),
    counters(
        "news_filter_misses",
        "Item x slot pairs that this step alone would have rejected (not exclusive).",
        "dimension",
        STEPS,
        lambda s: s.broadcast.misses,
    ),
    counters(
        "news_sends",
        "Item x slot sends by result; merged: another channel of the connection carried it. Sums to matched.",
        "result",
        labels.Sent,
        lambda s: s.broadcast.sends,
    ),
    counter(
        "news_items_late",
        "Items whose last recipient was reached more than 100 ms late.",
        lambda s: s.broadcast.late_items,
    ),
    counters(
        "news_slow_consumers",
        "Actions on slow clients.",
        "action",
        labels.SlowAction,
        lambda s: s.connections.slow,
    ),
    counters(
        "news_resumes",
        "Connections that asked for missed items, by result.",
        "result",
        labels.Resume,
        lambda s: s.recovery.resumes,
    ),
    counter(
        "news_replayed_items",
        "Items read from the log and sent to one connection.",
        lambda s: s.recovery.replayed_items,
    ),
    counter(
        "news_replay_errors", "Items that could not be decided when read back.", lambda s: s.recovery.replay_errors
    ),
    counter("news_gap_items", "Items announced to a connection as lost.", lambda s: s.recovery.gap_items),
    counters("news_acks", "Acknowledgements by result.", "result", AckResult, lambda s: s.recovery.acks),
    counters(
        "news_redeliveries",
        "Items sent again to a client.",
        "reason",
        labels.Redelivery,
        lambda s: s.recovery.redelivered,
    ),
    counter(
        "news_redeliveries_exhausted",
        "Connections closed because they never acknowledged.",
        lambda s: s.recovery.redeliveries_exhausted,
    ),
    counters(
        "news_sent_payload_bytes",
        "Payload bytes of items sent.",
        "encoding",
        labels.Encoding,
        lambda s: s.broadcast.payload_bytes,
    ),
    counters(
        "news_sent_wire_bytes",
        "Bytes of items written, with framing.",
        "encoding",
        labels.Encoding,
        lambda s: s.broadcast.wire_bytes,
    ),
    counters(
        "news_frames_encoded",
        "Item frames encoded; sends / frames is how often a frame is reused.",
        "encoding",
        labels.Encoding,
        lambda s: s.broadcast.frames,
    ),
    counters(
        "news_canary_probes",
        "Canary probes, by result.",
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
    counters("news_log_messages", "Log lines by level.", "level", labels.Severity, lambda s: s.server.log_lines),
    counter(
        "news_log_rows_skipped",
        "Stored items that could not be read back, each time that one was skipped.",
        lambda s: s.server.log_rows_skipped,
    ),
    counter(
        "news_bad_proxy_headers",
        "Connections of trusted proxies without a valid header of the PROXY protocol.",
        lambda s: s.server.bad_proxy_headers,
    ),
    counter("news_scrape_errors", "Gauges that could not be read at scrape.", lambda s: s.server.scrape_errors),
)


def stats_gauges(stats: Stats) -> tuple[GaugeFamily, ...]:
    """Return the gauges that are read from `Stats`. The first three are Unix times and not ages, so that a stopped
    broadcaster or canary is visible: its time no longer changes.
    """
    return (
        gauge(
            "news_broadcaster_last_loop_timestamp_seconds",
            "Unix time of the broadcaster's last tick; it ticks when idle too.",
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
    """Return the label values of every series of HTTP requests. From the start, each registered route and method has
    series for 2xx, 4xx and 5xx. Any other combination has a series once it has been counted.
    """
    usual = product(
        stats.server.request_methods,
        (labels.StatusClass.OK, labels.StatusClass.CLIENT_ERROR, labels.StatusClass.SERVER_ERROR),
    )
    return dict.fromkeys([*((route, method, code) for (route, method), code in usual), *stats.server.requests])
