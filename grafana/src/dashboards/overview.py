"""The overview, for on-call: are all users served?"""

from grafana_foundation_sdk.models import dashboard as model

from grafana.src.colors import GREEN, ORANGE, RED
from grafana.src.dashboards.frame import new_dashboard, with_rows
from grafana.src.panels import LIMIT, RATE, lines, number, quantile, quantiles, query, rates, stack

_LATENCY = "news_delivery_latency_seconds"


def overview() -> model.Dashboard:
    within = f'sum(rate({_LATENCY}_bucket{{%, le="0.1"}}{RATE})) / sum(rate({_LATENCY}_count{{%}}{RATE}))'
    canary = "max(news_time_seconds{%} - news_canary_last_success_timestamp_seconds{%})"
    used = "max(news_connections{%} / on (job, instance) news_connections_limit{%})"
    firing = 'sum(ALERTS{alertstate="firing", job=~"$job", severity!="none"}) or vector(0)'
    opened = f"sum(rate(news_connections_opened_total{{%}}{RATE}))"
    closed = f"-sum(rate(news_connections_closed_total{{%}}{RATE}))"
    burn = 'news:slo_error:ratio_rate1h{job=~"$job"} / on (job, slo) news:slo_error_budget:ratio{job=~"$job"}'
    return with_rows(
        new_dashboard(
            "overview", "Overview", "On call: are clients connected, does news arrive in time, what is failing?"
        ),
        {
            "Are users served?": [
                number("Connections", "Open WebSocket connections.", "short", "sum(news_connections{%})", width=3),
                number("Users", "Distinct users with a connection.", "short", "sum(news_users{%})", width=3),
                number(
                    "Paused",
                    "Connections with over 64 KiB unsent: their clients take less than is written.",
                    "short",
                    "sum(news_connections_paused{%})",
                    width=3,
                ),
                number(
                    "Capacity used",
                    "The fullest instance against its own limit; refusals begin at 100%.",
                    "percentunit",
                    used,
                    (None, GREEN),
                    (0.8, ORANGE),
                    (0.95, RED),
                    width=3,
                ),
                number(
                    "Delivery p99",
                    "99% of the deliveries are faster than this.",
                    "s",
                    quantile(0.99, _LATENCY) + " >= 0",
                    (None, GREEN),
                    (0.1, ORANGE),
                    (0.5, RED),
                    width=3,
                ),
                number(
                    "Within 100 ms",
                    "Share of the deliveries within the objective.",
                    "percentunit",
                    within + " >= 0",
                    (None, RED),
                    (0.98, ORANGE),
                    (0.99, GREEN),
                    decimals=2,
                    width=3,
                ),
                number(
                    "Canary age",
                    "Since a probe last came back: in quiet hours the only proof that news would arrive.",
                    "s",
                    canary,
                    (None, GREEN),
                    (15, ORANGE),
                    (60, RED),
                    width=3,
                ),
                number("Firing alerts", "Alerts that fire now.", "short", firing, (None, GREEN), (1, RED), width=3),
                lines(
                    "Connections by instance",
                    "Open connections, and the limit of one instance.",
                    "short",
                    query("sum by (instance) (news_connections{%})", "{{instance}}"),
                    query("max(news_connections_limit{%})", LIMIT),
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
                    "By reason. network and heartbeat_timeout mean that users lost their connection.",
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
                stack(
                    "Token checks refused",
                    "Callers without a valid token, by reason; empty if no tokens are required.",
                    "cps",
                    query(f'sum by (result) (rate(news_auth_attempts_total{{%, result!="ok"}}{RATE}))', "{{result}}"),
                    width=24,
                ),
            ],
            "Is news flowing?": [
                stack(
                    "Items in",
                    "Items stored, by the way they came in.",
                    "cps",
                    rates("news_items_accepted_total", "source_type"),
                ),
                stack(
                    "Items out",
                    "Items broadcast, by result; unmatched: no filter matched.",
                    "cps",
                    rates("news_items_broadcast_total", "result"),
                ),
                stack("Sends by result", "Item x connection sends.", "cps", rates("news_sends_total", "result")),
                quantiles(
                    "Delivery latency",
                    "Accepted to handed to the socket; dashed: 100 ms.",
                    _LATENCY,
                    limit=0.1,
                    examples=True,
                ),
                lines(
                    "Late items",
                    "Items whose last recipient was reached more than 100 ms after acceptance.",
                    "cps",
                    query(f"sum by (instance) (rate(news_items_late_total{{%}}{RATE}))", "{{instance}}"),
                ),
                quantiles(
                    "Canary round trip",
                    "Probe accepted to received by our own client.",
                    "news_canary_latency_seconds",
                    limit=0.1,
                ),
                stack(
                    "Items refused",
                    "Why items were not stored.",
                    "cps",
                    rates("news_items_rejected_total", "reason"),
                    width=12,
                ),
                stack(
                    "Feeds", "Looks at feeds by result.", "cps", rates("news_feed_fetches_total", "result"), width=12
                ),
                stack(
                    "Entries of feeds",
                    "Entries of fetched feeds by outcome.",
                    "cps",
                    rates("news_feed_entries_total", "outcome"),
                    width=12,
                ),
                lines(
                    "On their way in",
                    "Items of feeds that are not in the log yet.",
                    "short",
                    query("sum by (instance) (news_intake_queue_items{%})", "{{instance}}"),
                    width=12,
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
                    "By name; the watchdog always fires.",
                    "short",
                    query(
                        'sum by (alertname) (ALERTS{alertstate="firing", alertname=~"News.+", job=~"$job|"})',
                        "{{alertname}}",
                    ),
                    width=12,
                ),
            ],
        },
    )
