"""Alerts: is the server up, and does it work?"""

from grafana.src.alerts.alert import Alert
from grafana.src.rules import JOB

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
        "The job polyfloat-news has no target: no other alert can fire.",
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
        f"news_time_seconds{{{JOB}}} - news_broadcaster_last_loop_timestamp_seconds{{{JOB}}} > 30",
        "The broadcaster of {{ $labels.instance }} is stuck.",
        "Its last tick was {{ $value | humanizeDuration }} ago: no client receives news.",
        "delivery",
    ),
    Alert(
        "NewsItemsStuck",
        "critical",
        "30s",
        f"news_history_head_sequence{{{JOB}}} - news_broadcast_sequence{{{JOB}}} > 0"
        f" and on (job, instance) changes(news_broadcast_sequence{{{JOB}}}[1m]) == 0",
        "{{ $labels.instance }} stores news and sends none.",
        "{{ $value }} stored items were not sent, and none was for a minute.",
        "delivery",
    ),
    Alert(
        "NewsCanaryFailing",
        "critical",
        "30s",
        f"news_time_seconds{{{JOB}}} - news_canary_last_success_timestamp_seconds{{{JOB}}} > 60",
        "No probe of {{ $labels.instance }} arrives at its own canary.",
        "The last one arrived {{ $value | humanizeDuration }} ago: news would not arrive either.",
        "delivery",
    ),
    Alert(
        "NewsClockSkew",
        "warning",
        "10m",
        f"abs(news_time_seconds{{{JOB}}} - timestamp(news_time_seconds{{{JOB}}})) > 5",
        "The clock of {{ $labels.instance }} differs from that of Prometheus.",
        "By {{ $value | humanizeDuration }}: times of items and logs are wrong by as much.",
        "runtime",
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
