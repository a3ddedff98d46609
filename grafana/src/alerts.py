"""Every alert. This file owns when somebody is called, with which words, and what they read first.

critical calls somebody now · warning is for working hours · info stands on a dashboard · none proves that alerts
arrive. Each has an anchor of its own in docs/runbook.md and, in tests/observability/alerts_test.yml, a case in which
it fires, one in which it does not fire yet, and a near miss.
"""

from typing import NamedTuple

from grafana.src.rules import JOB

RUNBOOK = "docs/runbook.md#"


class Alert(NamedTuple):
    """One alert. `lasting` is how long the expression must hold; None fires at once."""

    name: str
    severity: str
    lasting: str | None
    expression: str
    summary: str
    description: str
    dashboard: str = "overview"


def _burning(*pairs: tuple[str, str, float]) -> str:
    """Say that a budget burns in a short and in a long window at once (SRE workbook, chapter 5)."""
    return "\nor\n".join(
        f"(\n  news:slo_error:ratio_rate{short} > on (job, slo) ({rate:g} * news:slo_error_budget:ratio)\n"
        f"  and on (job, slo)\n"
        f"  news:slo_error:ratio_rate{long} > on (job, slo) ({rate:g} * news:slo_error_budget:ratio)\n)"
        for short, long, rate in pairs
    )


_FAILURES = f"sum by (job) (rate(news_handshake_failures_total{{{JOB}}}[5m]))"
_DECISIONS = f"sum by (job) (increase(news_filter_decisions_total{{{JOB}}}[15m]))"

AVAILABILITY = (
    Alert(
        "NewsDown",
        "critical",
        "1m",
        f"up{{{JOB}}} == 0",
        "News server {{ $labels.instance }} cannot be scraped.",
        "Prometheus has not reached {{ $labels.instance }} for a minute.",
    ),
    Alert(
        "NewsAbsent",
        "critical",
        "5m",
        f"absent(up{{{JOB}}})",
        "No news server is known to Prometheus.",
        "The job polyfloat-news has no target: every other alert is blind.",
    ),
    Alert(
        "NewsRestarting",
        "warning",
        None,
        f"changes(process_start_time_seconds{{{JOB}}}[15m]) > 2",
        "{{ $labels.instance }} keeps restarting.",
        "{{ $value }} restarts in 15 minutes.",
        "runtime",
    ),
    Alert(
        "NewsNotReady",
        "warning",
        "5m",
        f"news_ready{{{JOB}}} == 0",
        "{{ $labels.instance }} is not ready.",
        "It has refused new connections for 5 minutes.",
    ),
    Alert(
        "NewsBroadcasterStalled",
        "critical",
        "30s",
        f"time() - news_broadcaster_last_loop_timestamp_seconds{{{JOB}}} > 30",
        "The broadcaster of {{ $labels.instance }} is stuck.",
        "Its last turn was {{ $value | humanizeDuration }} ago: nobody receives news.",
        "delivery",
    ),
    Alert(
        "NewsWatchdog",
        "none",
        None,
        "vector(1)",
        "Always firing: proves that alerts arrive.",
        "Route it to a dead man's switch.",
    ),
)

CONNECTIONS = (
    Alert(
        "NewsNoConnections",
        "critical",
        "5m",
        "job:news_connections:sum == 0 and max_over_time(job:news_connections:sum[1h]) > 10",
        "Nobody is connected.",
        "There were connections within the last hour, now there are none.",
    ),
    Alert(
        "NewsConnectionsDropped",
        "warning",
        "1m",
        "job:news_connections:sum < 0.7 * (job:news_connections:sum offset 10m)"
        " and (job:news_connections:sum offset 10m) > 50",
        "More than 30% of the connections were lost in 10 minutes.",
        "{{ $value }} connections are left.",
    ),
    Alert(
        "NewsConnectionsNearCapacity",
        "warning",
        "10m",
        "instance:news_connections:ratio > 0.8",
        "{{ $labels.instance }} is at {{ $value | humanizePercentage }} of its connection limit.",
        "New clients are refused at 100%.",
        "runtime",
    ),
    Alert(
        "NewsConnectionsAtCapacity",
        "critical",
        "2m",
        "instance:news_connections:ratio > 0.95",
        "{{ $labels.instance }} is about to refuse connections.",
        "{{ $value | humanizePercentage }} of the limit is used.",
        "runtime",
    ),
    Alert(
        "NewsConnectionsCapacityForecast",
        "warning",
        "30m",
        f"predict_linear(news_connections{{{JOB}}}[1h], 4 * 3600)"
        f" > on (job, instance) news_connections_limit{{{JOB}}}"
        " and on (job, instance) instance:news_connections:ratio > 0.5",
        "{{ $labels.instance }} will reach its connection limit within 4 hours.",
        "{{ $value | humanize }} connections are forecast.",
        "runtime",
    ),
    Alert(
        "NewsConnectionsRefused",
        "critical",
        "2m",
        f'sum by (job, instance) (rate(news_handshake_failures_total{{{JOB}, reason="capacity"}}[5m])) > 0',
        "{{ $labels.instance }} refuses clients for lack of capacity.",
        "{{ $value | humanize }} refusals a second.",
    ),
    Alert(
        "NewsConnectionChurn",
        "warning",
        "10m",
        "job:news_connections_opened:rate5m * 60 / (job:news_connections:sum > 50) > 0.2",
        "Clients reconnect all the time.",
        "{{ $value | humanizePercentage }} of the connections are replaced every minute.",
    ),
    Alert(
        "NewsHandshakeFailures",
        "warning",
        "10m",
        f"{_FAILURES} / ({_FAILURES} + job:news_connections_opened:rate5m) > 0.1 and {_FAILURES} > 0.2",
        "{{ $value | humanizePercentage }} of the connection attempts fail.",
        "The panel Why handshakes failed has the reasons.",
    ),
    Alert(
        "NewsAbnormalCloses",
        "warning",
        "10m",
        "sum by (job) (rate(news_connections_closed_total"
        f'{{{JOB}, reason=~"network|heartbeat_timeout|internal_error"}}[10m]))'
        " / (job:news_connections:sum > 50) * 60 > 0.05",
        "Clients are being cut off.",
        "{{ $value | humanizePercentage }} of the connections a minute end abnormally.",
    ),
    Alert(
        "NewsConnectionAccounting",
        "info",
        "15m",
        f"abs(sum by (job, instance) (news_connections_opened_total{{{JOB}}})"
        f" - sum by (job, instance) (news_connections_closed_total{{{JOB}}})"
        f" - sum by (job, instance) (news_connections{{{JOB}}})) > 5",
        "Connection counters do not add up on {{ $labels.instance }}.",
        "opened - closed - open = {{ $value }}: a leak in the server or in its metrics.",
        "runtime",
    ),
    Alert(
        "NewsFileDescriptors",
        "warning",
        "5m",
        f"process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}} > 0.8",
        "{{ $labels.instance }} runs out of file descriptors.",
        "{{ $value | humanizePercentage }} are used.",
        "runtime",
    ),
)

DELIVERY = (
    Alert(
        "NewsErrorBudgetBurnFast",
        "critical",
        None,
        _burning(("5m", "1h", 14.4), ("30m", "6h", 6)),
        "The objective {{ $labels.slo }} burns its error budget too fast.",
        "{{ $value | humanizePercentage }} of the events miss it.",
        "delivery",
    ),
    Alert(
        "NewsErrorBudgetBurnSlow",
        "warning",
        "15m",
        _burning(("2h", "1d", 3), ("6h", "3d", 1)),
        "The objective {{ $labels.slo }} burns its error budget.",
        "{{ $value | humanizePercentage }} of the events miss it.",
        "delivery",
    ),
    Alert(
        "NewsQueueBacklog",
        "warning",
        "2m",
        f"news_queue_items{{{JOB}}} / news_queue_capacity_items{{{JOB}}} > 0.5",
        "The queue of {{ $labels.instance }} fills up.",
        "{{ $value | humanizePercentage }} of it is used.",
        "delivery",
    ),
    Alert(
        "NewsQueueStale",
        "critical",
        "1m",
        f"news_queue_oldest_age_seconds{{{JOB}}} > 5",
        "News waits too long on {{ $labels.instance }}.",
        "The oldest item has waited {{ $value | humanizeDuration }}.",
        "delivery",
    ),
    Alert(
        "NewsItemsRefused",
        "critical",
        None,
        "sum by (job, instance, reason) (increase(news_items_rejected_total"
        f'{{{JOB}, reason=~"queue_full|storage"}}[5m])) > 0',
        "{{ $labels.instance }} cannot take news: {{ $labels.reason }}.",
        "{{ $value | humanize }} items were refused in 5 minutes; publishers were told to come back.",
        "delivery",
    ),
    Alert(
        "NewsSlowConsumers",
        "warning",
        "10m",
        f"sum by (job) (rate(news_slow_consumers_total{{{JOB}}}[10m])) * 60 / (job:news_connections:sum > 50) > 0.01",
        "Many clients are too slow.",
        "{{ $value | humanizePercentage }} of the connections a minute are cut off for being slow.",
        "delivery",
    ),
    Alert(
        "NewsIngestSilent",
        "warning",
        "15m",
        f"sum by (job) (increase(news_items_accepted_total{{{JOB}}}[30m])) == 0",
        "No news came in for 45 minutes.",
        "Look at the feeds and the publishers; delivery itself may be fine.",
        "delivery",
    ),
    Alert(
        "NewsFeedsFailing",
        "warning",
        "15m",
        f'sum by (job) (increase(news_feed_fetches_total{{{JOB}, result="failed"}}[15m]))'
        f" / (sum by (job) (increase(news_feed_fetches_total{{{JOB}}}[15m])) > 0) > 0.5",
        "Most looks at feeds fail.",
        "{{ $value | humanizePercentage }} of them failed in 15 minutes.",
        "delivery",
    ),
    Alert(
        "NewsNothingMatches",
        "warning",
        "15m",
        f'sum by (job) (increase(news_filter_decisions_total{{{JOB}, outcome="matched"}}[15m])) == 0'
        f" and {_DECISIONS} > 1000",
        "Every decision is a rejection.",
        "News flows and users are connected, but no filter matched anything.",
        "delivery",
    ),
    Alert(
        "NewsMatchRatioShift",
        "info",
        "30m",
        "job:news_filter_matched:ratio_rate5m < 0.3 * avg_over_time(job:news_filter_matched:ratio_rate5m[1d] offset 1h)"
        " and sum by (job) (job_outcome:news_filter_decisions:rate5m) > 100",
        "Far fewer items match than yesterday.",
        "{{ $value | humanizePercentage }} of the decisions match.",
        "delivery",
    ),
    Alert(
        "NewsMatchingErrors",
        "critical",
        None,
        f'sum by (job, instance) (increase(news_filter_decisions_total{{{JOB}, outcome="error"}}[5m])) > 0',
        "{{ $labels.instance }} could not decide on items.",
        "{{ $value | humanize }} decisions failed in 5 minutes: nothing was delivered on their account.",
        "delivery",
    ),
    Alert(
        "NewsSendAccounting",
        "info",
        "15m",
        f'abs(sum by (job, instance) (news_filter_decisions_total{{{JOB}, outcome="matched"}})'
        f" - sum by (job, instance) (news_sends_total{{{JOB}}})) > 0",
        "Sends do not add up on {{ $labels.instance }}.",
        "matched - sends = {{ $value }}: a bug in the server or in its metrics.",
        "delivery",
    ),
)

RUNTIME = (
    Alert(
        "NewsEventLoopLag",
        "warning",
        "5m",
        "histogram_quantile(0.99, sum by (job, instance, le)"
        f" (rate(news_event_loop_lag_seconds_bucket{{{JOB}}}[5m]))) > 0.1",
        "The event loop of {{ $labels.instance }} is blocked.",
        "1% of the turns are more than {{ $value | humanizeDuration }} late.",
        "runtime",
    ),
    Alert(
        "NewsDbErrors",
        "warning",
        None,
        f"sum by (job, operation, kind) (increase(news_db_errors_total{{{JOB}}}[10m])) > 5",
        "The database fails: {{ $labels.operation }}, {{ $labels.kind }}.",
        "{{ $value | humanize }} errors in 10 minutes.",
        "runtime",
    ),
    Alert(
        "NewsDbSlow",
        "warning",
        "10m",
        "histogram_quantile(0.99, sum by (job, operation, le)"
        f" (rate(news_db_operation_duration_seconds_bucket{{{JOB}}}[5m]))) > 0.25",
        "The database is slow: {{ $labels.operation }}.",
        "1% take more than {{ $value | humanizeDuration }}.",
        "runtime",
    ),
    Alert(
        "NewsErrorLogs",
        "info",
        "10m",
        f'sum by (job, instance) (rate(news_log_messages_total{{{JOB}, level=~"error|critical"}}[5m])) > 0.1',
        "{{ $labels.instance }} logs errors.",
        "{{ $value | humanize }} a second.",
        "runtime",
    ),
    Alert(
        "NewsTooManySeries",
        "warning",
        "15m",
        f"scrape_samples_post_metric_relabeling{{{JOB}}} > 1500",
        "{{ $labels.instance }} exposes too many series.",
        "{{ $value }} samples a scrape: a label is not bounded.",
        "runtime",
    ),
    Alert(
        "NewsScrapeSlow",
        "info",
        "10m",
        f"news_scrape_duration_seconds{{{JOB}}} > 0.25",
        "Collecting metrics blocks {{ $labels.instance }}.",
        "{{ $value | humanizeDuration }} a scrape.",
        "runtime",
    ),
    Alert(
        "NewsScrapeErrors",
        "warning",
        None,
        f"sum by (job, instance) (increase(news_scrape_errors_total{{{JOB}}}[15m])) > 0",
        "{{ $labels.instance }} cannot read some of its gauges.",
        "{{ $value | humanize }} readings failed in 15 minutes; the panels that need them are empty.",
        "runtime",
    ),
)

GROUPS = {"availability": AVAILABILITY, "connections": CONNECTIONS, "delivery": DELIVERY, "runtime": RUNTIME}


def alert_groups() -> list[dict[str, object]]:
    """Give the groups of alerting rules."""
    return [
        {"name": f"polyfloat-news-{name}", "rules": [_rule(alert) for alert in alerts]}
        for name, alerts in GROUPS.items()
    ]


def _rule(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        **({"for": alert.lasting} if alert.lasting else {}),
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": RUNBOOK + alert.name.lower(),
            "dashboard": f"/d/news-{alert.dashboard}",
        },
    }
