"""The three dashboards. This file owns which questions they answer, row by row.

overview   on call: is everybody served?
delivery   who gets what, why not, and how fast
runtime    how far from the limits, and what the process is doing
"""

import json

from grafana_foundation_sdk.builders import dashboard as frame
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana.src.panels import (
    GREEN,
    ORANGE,
    RATE,
    RED,
    SOURCE,
    Panel,
    bars,
    heat,
    lines,
    number,
    quantile,
    quantiles,
    query,
    rates,
    stack,
)

_TAG = "polyfloat-news"
_DECISIONS = "news_filter_decisions_total"
_LATENCY = "news_delivery_latency_seconds"


def dashboards() -> dict[str, str]:
    """Give the dashboards by name, as JSON."""
    return {dashboard.uid or "": _encode(dashboard) for dashboard in (_overview(), _delivery(), _runtime())}


def _frame(uid: str, title: str, text: str) -> frame.Dashboard:
    built = (
        frame.Dashboard(f"polyfloat-news / {title}")
        .uid(f"news-{uid}")
        .description(text)
        .tags([_TAG])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(frame.DatasourceVariable("datasource").label("Data Source").type("prometheus"))
        .with_variable(_variable("job", "label_values(news_build_info, job)"))
        .with_variable(_variable("instance", 'label_values(news_build_info{job=~"$job"}, instance)'))
    )
    marks = (
        ("Restarts", f'changes(process_start_time_seconds{{job=~"$job", instance=~"$instance"}}{RATE}) > 0', "purple"),
        ("Critical alerts", 'ALERTS{alertstate="firing", severity="critical", job=~"$job"}', "red"),
        ("New version", 'news_build_info{job=~"$job"} unless news_build_info{job=~"$job"} offset 5m', "blue"),
    )
    for name, expression, colour in marks:
        built = built.annotation(
            frame.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expression)
        )
    link = frame.DashboardLink("polyfloat-news").type(model.DashboardLinkType.DASHBOARDS).tags([_TAG])
    return built.link(link.include_vars(True).keep_time(True).as_dropdown(False))


def _variable(name: str, values: str) -> frame.QueryVariable:
    return (
        frame.QueryVariable(name)
        .label(name)
        .query(values)
        .datasource(SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )


def _rows(built: frame.Dashboard, rows: dict[str, list[Panel]]) -> model.Dashboard:
    for title, panels in rows.items():
        built = built.with_row(frame.Row(title))
        for panel in panels:
            built = built.with_panel(panel)
    dashboard = built.build()
    for position, panel in enumerate(dashboard.panels or [], start=1):
        panel.id_val = position
    return dashboard


def _overview() -> model.Dashboard:
    within = f'sum(rate({_LATENCY}_bucket{{%, le="0.1"}}{RATE})) / sum(rate({_LATENCY}_count{{%}}{RATE}))'
    used = "max(news_connections{%} / on (job, instance) news_connections_limit{%})"
    firing = 'sum(ALERTS{alertstate="firing", job=~"$job", severity!="none"}) or vector(0)'
    opened = f"sum(rate(news_connections_opened_total{{%}}{RATE}))"
    closed = f"-sum(rate(news_connections_closed_total{{%}}{RATE}))"
    burn = 'news:slo_error:ratio_rate1h{job=~"$job"} / on (job, slo) news:slo_error_budget:ratio{job=~"$job"}'
    return _rows(
        _frame("overview", "Overview", "On call: is everybody connected, is news arriving in time, what is failing?"),
        {
            "Are users served?": [
                number("Connections", "Open WebSocket connections.", "short", "sum(news_connections{%})"),
                number("Users", "Distinct users with a connection.", "short", "sum(news_users{%})"),
                number(
                    "Capacity used",
                    "The fullest instance against its own limit; refusals begin at 100%.",
                    "percentunit",
                    used,
                    (None, GREEN),
                    (0.8, ORANGE),
                    (0.95, RED),
                ),
                number(
                    "Delivery p99",
                    "99% of the deliveries are faster than this.",
                    "s",
                    quantile(0.99, _LATENCY),
                    (None, GREEN),
                    (0.1, ORANGE),
                    (0.5, RED),
                ),
                number(
                    "Within 100 ms",
                    "Share of the deliveries within the objective.",
                    "percentunit",
                    within,
                    (None, RED),
                    (0.98, ORANGE),
                    (0.99, GREEN),
                    decimals=2,
                ),
                number("Firing alerts", "Alerts that fire now.", "short", firing, (None, GREEN), (1, RED)),
                lines(
                    "Connections by instance",
                    "Open connections, and the limit of one instance.",
                    "short",
                    query("sum by (instance) (news_connections{%})", "{{instance}}"),
                    query("max(news_connections_limit{%})", "limit"),
                    width=12,
                ),
                lines(
                    "Opened and closed",
                    "Connections that began and that ended, a second.",
                    "cps",
                    query(opened, "opened"),
                    query(closed, "closed"),
                    width=12,
                    floor=False,
                ),
                stack(
                    "Why connections ended",
                    "By reason. network and heartbeat_timeout mean that users are cut off.",
                    "cps",
                    rates("news_connections_closed_total", "reason"),
                    width=12,
                ),
                stack(
                    "Why handshakes failed",
                    "Upgrades that were refused, by reason.",
                    "cps",
                    rates("news_handshake_failures_total", "reason"),
                    width=12,
                ),
            ],
            "Is news flowing?": [
                lines(
                    "Items",
                    "Items stored by the way they came in, and broadcast by result.",
                    "cps",
                    query(
                        f"sum by (source_type) (rate(news_items_accepted_total{{%}}{RATE}))", "in by {{source_type}}"
                    ),
                    rates("news_items_broadcast_total", "result"),
                ),
                stack("Sends by result", "Item x connection sends.", "cps", rates("news_sends_total", "result")),
                quantiles("Delivery latency", "Accepted to handed to the socket; dashed: 100 ms.", _LATENCY, limit=0.1),
                stack(
                    "Items refused", "Why items were not stored.", "cps", rates("news_items_rejected_total", "reason")
                ),
                stack("Feeds", "Looks at feeds by result.", "cps", rates("news_feed_fetches_total", "result")),
                lines(
                    "On their way in",
                    "Items of feeds that are not in the log yet.",
                    "short",
                    query("sum by (instance) (news_intake_queue_items{%})", "{{instance}}"),
                ),
            ],
            "Objectives": [
                lines(
                    "Burn rate (1 h)",
                    "1 spends the budget of 30 days exactly; 14.4 calls somebody.",
                    "short",
                    query(burn, "{{slo}}"),
                    width=12,
                    limit=14.4,
                ),
                stack(
                    "Firing alerts over time",
                    "By name.",
                    "short",
                    query(
                        'sum by (alertname) (ALERTS{alertstate="firing", job=~"$job"}) or vector(0)', "{{alertname}}"
                    ),
                    width=12,
                ),
            ],
        },
    )


def _delivery() -> model.Dashboard:
    matched = f'sum(rate({_DECISIONS}{{%, outcome="matched"}}{RATE})) / sum(rate({_DECISIONS}{{%}}{RATE}))'
    unmatched = (
        f'sum(rate(news_items_broadcast_total{{%, result="unmatched"}}{RATE}))'
        f" / sum(rate(news_items_broadcast_total{{%}}{RATE}))"
    )
    misses = (
        f"sum by (dimension) (rate(news_filter_misses_total{{%}}{RATE})) / scalar(sum(rate({_DECISIONS}{{%}}{RATE})))"
    )
    mean_recipients = (
        f"sum(rate(news_broadcast_recipients_sum{{%}}{RATE})) / sum(rate(news_broadcast_recipients_count{{%}}{RATE}))"
    )
    stages = (
        f"sum by (stage) (rate(news_broadcast_duration_seconds_sum{{%}}{RATE}))"
        f" / sum by (stage) (rate(news_broadcast_duration_seconds_count{{%}}{RATE}))"
    )
    overhead = (
        f"sum by (encoding) (rate(news_sent_wire_bytes_total{{%}}{RATE}))"
        f" / sum by (encoding) (rate(news_sent_payload_bytes_total{{%}}{RATE}))"
    )
    return _rows(
        _frame("delivery", "Delivery and filtering", "Who gets what, why not, and how fast."),
        {
            "Filter decisions": [
                number("Match ratio", "Share of the decisions that matched.", "percentunit", matched),
                number("Decisions", "Item x slot decisions a second.", "cps", f"sum(rate({_DECISIONS}{{%}}{RATE}))"),
                number("Unmatched items", "Share of the items that nobody wanted.", "percentunit", unmatched),
                number("Live filters", "Slots that every item is decided for.", "short", "sum(news_filter_slots{%})"),
                number(
                    "Index terms",
                    "Distinct terms in the match index.",
                    "short",
                    "sum(news_filter_index_terms{%})",
                ),
                number(
                    "Broken filters",
                    "Connections that get nothing because their filter cannot be read.",
                    "short",
                    'sum(news_subscriptions{%, state="broken"})',
                    (None, GREEN),
                    (1, RED),
                ),
                stack(
                    "Decisions by outcome",
                    "matched, or the first step that rejected. The stack is all decisions.",
                    "cps",
                    rates(_DECISIONS, "outcome"),
                    width=12,
                ),
                bars(
                    "Which filter is the strictest",
                    "Share of the decisions that each step alone would have rejected (not exclusive).",
                    "percentunit",
                    query(misses, "{{dimension}}"),
                ),
                lines(
                    "Recipients of one item",
                    "Slots matched by one item.",
                    "short",
                    query(quantile(0.5, "news_broadcast_recipients"), "p50"),
                    query(quantile(0.95, "news_broadcast_recipients"), "p95"),
                    query(mean_recipients, "mean"),
                ),
                stack(
                    "Connections by filter",
                    "unfiltered gets everything; broken gets nothing.",
                    "short",
                    query("sum by (state) (news_subscriptions{%})", "{{state}}"),
                ),
                lines(
                    "Index size",
                    "Distinct terms by step.",
                    "short",
                    query("sum by (dimension) (news_filter_index_terms{%})", "{{dimension}}"),
                ),
            ],
            "Latency, step by step": [
                heat("Delivery latency", "Accepted to handed to the socket.", _LATENCY),
                stack(
                    "Broadcast, by stage",
                    "Where one broadcast spends its time (mean).",
                    "s",
                    query(stages, "{{stage}}"),
                    width=12,
                ),
                quantiles("Queue wait", "Accepted to taken by the broadcaster.", "news_queue_wait_seconds"),
                lines(
                    "Queue",
                    "Items that wait for the broadcaster, and its bound.",
                    "short",
                    query("sum by (instance) (news_queue_items{%})", "{{instance}}"),
                    query("max(news_queue_capacity_items{%})", "bound"),
                ),
                lines(
                    "Age of the oldest waiting item",
                    "0 when none waits.",
                    "s",
                    query("max by (instance) (news_queue_oldest_age_seconds{%})", "{{instance}}"),
                ),
                quantiles("Round trip", "Server ping to client pong.", "news_ping_rtt_seconds"),
                lines(
                    "Broadcaster",
                    "Time since its last turn and since its last item.",
                    "s",
                    query("max(time() - news_broadcaster_last_loop_timestamp_seconds{%})", "turn"),
                    query("max(time() - news_broadcaster_last_item_timestamp_seconds{%} > 0)", "item"),
                ),
                lines(
                    "Framing",
                    "Bytes on the wire for one byte of payload.",
                    "percentunit",
                    query(overhead, "{{encoding}}"),
                ),
            ],
            "Clients": [
                stack(
                    "Slow clients",
                    "What was done to clients that took too little.",
                    "cps",
                    rates("news_slow_consumers_total", "action"),
                ),
                lines(
                    "Write buffers",
                    "Bytes that clients have not taken.",
                    "bytes",
                    query("sum(news_send_buffer_bytes{%})", "all"),
                    query("max(news_send_buffer_max_bytes{%})", "fullest"),
                ),
                lines(
                    "Paused connections",
                    "Connections with over 64 KiB unsent.",
                    "short",
                    query("sum by (instance) (news_connections_paused{%})", "{{instance}}"),
                ),
                stack("Messages", "Messages understood, by type.", "cps", rates("news_client_messages_total", "type")),
                stack("Messages refused", "By reason.", "cps", rates("news_client_messages_invalid_total", "reason")),
                stack("Heartbeats", "By outcome.", "cps", rates("news_pings_total", "result")),
                lines(
                    "Received",
                    "Bytes from clients.",
                    "Bps",
                    query(f"sum by (instance) (rate(news_client_received_bytes_total{{%}}{RATE}))", "{{instance}}"),
                ),
                quantiles("Handshake", "Upgrade request to 101.", "news_handshake_duration_seconds"),
                lines(
                    "Life of connections",
                    "Of those that ended.",
                    "s",
                    query(quantile(0.5, "news_connection_duration_seconds"), "p50"),
                    query(quantile(0.95, "news_connection_duration_seconds"), "p95"),
                ),
            ],
        },
    )


def _runtime() -> model.Dashboard:
    share = "news_connections{%} / on (job, instance) news_connections_limit{%}"
    memory = "process_resident_memory_bytes{%} / on (job, instance) (news_connections{%} > 0)"
    reuse = (
        f'sum(rate(news_sends_total{{%, result="written"}}{RATE})) / sum(rate(news_frames_encoded_total{{%}}{RATE}))'
    )
    by_operation = quantile(0.99, "news_db_operation_duration_seconds", "operation")
    by_route = quantile(0.99, "news_http_request_duration_seconds", "route")
    return _rows(
        _frame("runtime", "Capacity and runtime", "How far from the limits, and what the process is doing."),
        {
            "Capacity": [
                lines(
                    "Connections against the limit",
                    "Alerts at 80% and 95%.",
                    "percentunit",
                    query(share, "{{instance}}"),
                    limit=0.95,
                ),
                lines(
                    "Memory per connection",
                    "Resident memory by open connections.",
                    "bytes",
                    query(memory, "{{instance}}"),
                ),
                lines(
                    "File descriptors",
                    "Open by allowed.",
                    "percentunit",
                    query("process_open_fds{%} / process_max_fds{%}", "{{instance}}"),
                    limit=0.8,
                ),
                lines(
                    "Egress",
                    "Bytes written for items.",
                    "Bps",
                    query(f"sum by (instance) (rate(news_sent_wire_bytes_total{{%}}{RATE}))", "{{instance}}"),
                ),
                lines(
                    "Sends per encoded frame",
                    "How often one frame is used again; encoded once for all.",
                    "short",
                    query(reuse, "reuse"),
                ),
                stack(
                    "Rate limits hit",
                    "Refusals by what was too fast.",
                    "cps",
                    rates("news_rate_limited_total", "scope"),
                ),
            ],
            "Process": [
                lines(
                    "CPU",
                    "Cores in use; 1 is the ceiling of one event loop.",
                    "short",
                    query(f"rate(process_cpu_seconds_total{{%}}{RATE})", "{{instance}}"),
                    limit=0.9,
                ),
                lines("Memory", "Resident memory.", "bytes", query("process_resident_memory_bytes{%}", "{{instance}}")),
                quantiles(
                    "Event loop lag", "How late a timer of 100 ms is woken.", "news_event_loop_lag_seconds", limit=0.1
                ),
                stack(
                    "Garbage collections", "By generation.", "cps", rates("python_gc_collections_total", "generation")
                ),
                lines("asyncio tasks", "Tasks alive.", "short", query("news_event_loop_tasks{%}", "{{instance}}")),
                stack("Log lines", "Warnings and worse.", "cps", rates("news_log_messages_total", "level")),
                lines("Ready", "1 while new connections are welcome.", "short", query("news_ready{%}", "{{instance}}")),
                lines(
                    "Cost of metrics",
                    "Time to collect.",
                    "s",
                    query("news_scrape_duration_seconds{%}", "collect {{instance}}"),
                    query("scrape_duration_seconds{%}", "scrape {{instance}}"),
                ),
                lines(
                    "Gauges not read",
                    "Readings that failed at scrape.",
                    "cps",
                    query(f"sum by (instance) (rate(news_scrape_errors_total{{%}}{RATE}))", "{{instance}}"),
                ),
            ],
            "Database": [
                lines(
                    "p99 by operation",
                    "With the wait for the thread and the disk.",
                    "s",
                    query(by_operation, "{{operation}}"),
                ),
                stack("Operations", "By kind.", "ops", rates("news_db_operation_duration_seconds_count", "operation")),
                stack("Errors", "By kind.", "cps", rates("news_db_errors_total", "kind")),
                lines(
                    "Waiting",
                    "Operations at or before the threads.",
                    "short",
                    query("sum by (instance) (news_db_pending_operations{%})", "{{instance}}"),
                ),
                lines(
                    "Files",
                    "Main file and write-ahead log.",
                    "bytes",
                    query("sum by (file) (news_db_size_bytes{%})", "{{file}}"),
                ),
                lines(
                    "History",
                    "Items stored.",
                    "short",
                    query("sum by (instance) (news_history_items{%})", "{{instance}}"),
                ),
                lines(
                    "Head",
                    "Sequence number of the newest item.",
                    "short",
                    query("max by (instance) (news_history_head_sequence{%})", "{{instance}}"),
                ),
                lines(
                    "Reach of history",
                    "Age of the oldest item.",
                    "s",
                    query("time() - (news_history_oldest_timestamp_seconds{%} > 0)", "{{instance}}"),
                ),
            ],
            "HTTP": [
                stack("Requests", "By class of status.", "reqps", rates("news_http_requests_total", "code"), width=12),
                lines("p99 by route", "From request to answer.", "s", query(by_route, "{{route}}"), width=12),
            ],
        },
    )


def _encode(dashboard: model.Dashboard) -> str:
    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(dashboard)), indent=2, sort_keys=True) + "\n"
