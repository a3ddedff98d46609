"""Alerts: what are the process and its database doing?"""

from grafana.src.alerts.alert import Alert
from grafana.src.rules import JOB

RUNTIME = (
    Alert(
        "NewsEventLoopLag",
        "warning",
        "5m",
        "histogram_quantile(0.99, sum by (job, instance, le)"
        f" (rate(news_event_loop_lag_seconds_bucket{{{JOB}}}[5m]))) > 0.1",
        "The event loop of {{ $labels.instance }} is blocked.",
        "1% of the iterations run more than {{ $value | humanizeDuration }} late.",
        "runtime",
    ),
    Alert(
        "NewsStorageRefuses",
        "critical",
        "30s",
        f"min by (job, instance) (news_storage_writable{{{JOB}}}) == 0",
        "{{ $labels.instance }} stores nothing: its disk is full, or failed.",
        "Clients stay connected and can read; publishers are refused and told to come back.",
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
        "NewsRowsSkipped",
        "warning",
        None,
        f"sum by (job, instance) (increase(news_log_rows_skipped_total{{{JOB}}}[15m])) > 0",
        "{{ $labels.instance }} cannot read some stored items.",
        "Rows were skipped {{ $value | humanize }} times in 15 minutes; resuming clients are told of each gap.",
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
