"""The dashboard of delivery and filtering: which items are delivered, which not and why, and how fast."""

from grafana_foundation_sdk.models import dashboard as model

from grafana.src.colors import GREEN, RED
from grafana.src.dashboards.frame import new_dashboard, with_rows
from grafana.src.panels import LIMIT, RATE, bars, heat, lines, number, quantile, quantiles, query, rates, stack

_DECISIONS = "news_filter_decisions_total"
_LATENCY = "news_delivery_latency_seconds"


def delivery() -> model.Dashboard:
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
    return with_rows(
        new_dashboard(
            "delivery", "Delivery and filtering", "Which items are delivered, which not and why, and how fast."
        ),
        {
            "Filter decisions": [
                number("Match ratio", "Share of the decisions that matched.", "percentunit", matched),
                number("Decisions", "Item x slot decisions a second.", "cps", f"sum(rate({_DECISIONS}{{%}}{RATE}))"),
                number("Unmatched items", "Share of the items that matched no filter.", "percentunit", unmatched),
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
                    "Filters by kind",
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
                ),
                quantiles("Queue wait", "Accepted to taken by the broadcaster.", "news_queue_wait_seconds"),
                lines(
                    "Queue",
                    "Items that wait for the broadcaster, and its bound.",
                    "short",
                    query("sum by (instance) (news_queue_items{%})", "{{instance}}"),
                    query("max(news_queue_capacity_items{%})", LIMIT),
                ),
                lines(
                    "Age of the oldest waiting item",
                    "0 when none waits.",
                    "s",
                    query("max by (instance) (news_queue_oldest_age_seconds{%})", "{{instance}}"),
                ),
                lines(
                    "Broadcaster",
                    "Time since its last tick and since its last item.",
                    "s",
                    query("max(news_time_seconds{%} - news_broadcaster_last_loop_timestamp_seconds{%})", "tick"),
                    query("max(news_time_seconds{%} - (news_broadcaster_last_item_timestamp_seconds{%} > 0))", "item"),
                ),
                stack(
                    "Probes", "Of the canary, by how they ended.", "cps", rates("news_canary_probes_total", "result")
                ),
                quantiles("Round trip", "Server ping to client pong.", "news_ping_rtt_seconds"),
                lines(
                    "Stored and not sent",
                    "Items in the log behind the last one broadcast; more than 0 only for moments.",
                    "short",
                    query("news_history_head_sequence{%} - news_broadcast_sequence{%}", "{{instance}}"),
                ),
                lines(
                    "Framing",
                    "Bytes on the wire for one byte of payload.",
                    "percentunit",
                    query(overhead, "{{encoding}}"),
                ),
            ],
            "Catching up": [
                stack(
                    "Connections by phase",
                    "live get items as they are broadcast; the others read the log at their own pace.",
                    "short",
                    query("sum by (phase) (news_connection_phases{%})", "{{phase}}"),
                ),
                lines(
                    "Furthest behind",
                    "Items that the connection furthest behind has yet to read.",
                    "short",
                    query("max by (instance) (news_behind_max_items{%})", "{{instance}}"),
                ),
                stack(
                    "Resumes",
                    "Connections that asked for missed items. gap: some of them are not stored any more.",
                    "cps",
                    rates("news_resumes_total", "result"),
                ),
                lines(
                    "Replayed and lost items",
                    "Items read back for one connection, could not be decided, or were no longer stored.",
                    "cps",
                    query(f"sum(rate(news_replayed_items_total{{%}}{RATE}))", "replayed"),
                    query(f"sum(rate(news_replay_errors_total{{%}}{RATE}))", "failed"),
                    query(f"sum(rate(news_gap_items_total{{%}}{RATE}))", "lost"),
                ),
                lines(
                    "Items of one replay",
                    "Until its connection was live, or gone.",
                    "short",
                    query(quantile(0.5, "news_replay_items"), "p50"),
                    query(quantile(0.95, "news_replay_items"), "p95"),
                ),
                quantiles("Client ack latency", "Accepted to acknowledged by the client.", "news_ack_latency_seconds"),
                stack("Acks", "By result.", "cps", rates("news_acks_total", "result")),
                stack(
                    "Redeliveries",
                    "Items sent again, and connections ended after the last attempt.",
                    "cps",
                    rates("news_redeliveries_total", "reason"),
                    query(f"sum(rate(news_redeliveries_exhausted_total{{%}}{RATE}))", "exhausted"),
                ),
                lines(
                    "Unacknowledged items",
                    "Sent in ack mode and not acknowledged.",
                    "short",
                    query("sum by (instance) (news_unacked_items{%})", "{{instance}}"),
                ),
            ],
            "Clients": [
                stack(
                    "Slow clients",
                    "What was done to clients that took, or acknowledged, too little.",
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
