"""Alerts: are clients connected, and can they connect?"""

from grafana.src.alerts.alert import Alert, growing
from grafana.src.rules import JOB

_FAILURES = f"sum by (job) (rate(news_handshake_failures_total{{{JOB}}}[5m]))"
_ASKED_TOKENS = f"sum by (job) (rate(news_auth_attempts_total{{{JOB}}}[5m]))"
_REFUSED_TOKENS = f'sum by (job) (rate(news_auth_attempts_total{{{JOB}, result!="ok"}}[5m]))'
# Limits that well-behaved clients do not reach; the others are reached by slow clients, or by too many well-behaved
# ones.
_ABUSE_LIMITS = (
    "message_bytes|message_rate|bad_messages|slow_request|slow_reader"
    "|connect_rate|server_connect_rate|address_connections|publish_bytes"
    "|read_rate|answers|body_bytes|http_connections"
)

CONNECTIONS = (
    Alert(
        "NewsNoConnections",
        "critical",
        "5m",
        "job:news_connections:sum == 0 and max_over_time(job:news_connections:sum[1h]) > 10",
        "No client is connected.",
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
        " and on (job, instance) instance:news_connections:ratio > 0.5"
        # After a restart all clients connect at once; that is not growth.
        " and on (job, instance) instance:news_uptime:seconds > 2 * 3600",
        "{{ $labels.instance }} will reach its connection limit within 4 hours.",
        "{{ $value | humanize }} connections are forecast.",
        "runtime",
    ),
    Alert(
        "NewsConnectionsRefused",
        "critical",
        "3m",
        f'sum by (job, instance) (increase(news_handshake_failures_total{{{JOB}, reason="capacity"}}[2m])) > 0',
        "{{ $labels.instance }} refuses clients for lack of capacity.",
        "{{ $value | humanize }} refusals in 2 minutes.",
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
        "NewsAuthFailures",
        "warning",
        "10m",
        f"{_REFUSED_TOKENS} / {_ASKED_TOKENS} > 0.5 and {_REFUSED_TOKENS} > 0.2",
        "{{ $value | humanizePercentage }} of the callers have no valid token.",
        "The panel Token checks refused has the reasons.",
    ),
    Alert(
        "NewsLimitsHit",
        "warning",
        "10m",
        f'sum by (job, limit) (rate(news_limit_hits_total{{{JOB}, limit=~"{_ABUSE_LIMITS}"}}[5m])) > 0.5',
        "Clients flood, or one is broken: {{ $labels.limit }}.",
        "The limit refuses or disconnects {{ $value | humanize }} a second.",
        "runtime",
    ),
    Alert(
        "NewsAbnormalCloses",
        "warning",
        "10m",
        "sum by (job) (rate(news_connections_closed_total"
        f'{{{JOB}, reason=~"network|heartbeat_timeout|internal_error"}}[10m]))'
        " / (job:news_connections:sum > 50) * 60 > 0.05",
        "Clients are being disconnected.",
        "{{ $value | humanizePercentage }} of the connections a minute end abnormally.",
    ),
    Alert(
        "NewsConnectionAccounting",
        "info",
        "15m",
        growing("instance:news_connections_unaccounted:sum"),
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
