"""Every histogram that is read from `Stats`: its name, help and labels, and where its samples are read."""

from app.telemetry.families import HistogramFamily, histogram

HISTOGRAMS: tuple[HistogramFamily, ...] = (
    histogram("news_connection_duration_seconds", "Duration of closed connections.", lambda s: s.connections.lives),
    histogram(
        "news_handshake_duration_seconds",
        "Upgrade request received to 101 written.",
        lambda s: s.connections.handshakes,
    ),
    histogram("news_ping_rtt_seconds", "Server ping to client pong.", lambda s: s.connections.round_trips),
    histogram(
        "news_queue_wait_seconds", "Item accepted to taken by the broadcaster.", lambda s: s.broadcast.queue_wait
    ),
    HistogramFamily(
        "news_broadcast_duration_seconds",
        "Work of one broadcast, by stage.",
        ("stage",),
        lambda s: {(stage.value,): times for stage, times in s.broadcast.stages.items()},
    ),
    histogram("news_broadcast_recipients", "Slots matched by one item.", lambda s: s.broadcast.recipients),
    histogram(
        "news_delivery_latency_seconds", "Item accepted to frame handed to the socket.", lambda s: s.broadcast.delivery
    ),
    histogram(
        "news_replay_items",
        "Items that one replay sent, until its connection was live or closed.",
        lambda s: s.recovery.replays,
    ),
    histogram(
        "news_ack_latency_seconds", "Item accepted to acknowledged by its client.", lambda s: s.recovery.ack_times
    ),
    histogram(
        "news_canary_latency_seconds",
        "Probe accepted to received by the server's own client.",
        lambda s: s.server.probe_times,
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
    histogram("news_event_loop_lag_seconds", "Late wake-up of a 100 ms timer.", lambda s: s.server.loop_lag),
)
