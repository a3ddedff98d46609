"""Recording rules: the objectives, their windows, and the aggregates that alerts and panels share.

Names follow level:metric:operations (Prometheus, practices/rules). `total > 0` in a ratio means that silence gives no
sample instead of NaN. Every expression is valid for Prometheus 2.42 and 3.
"""

from typing import NamedTuple

JOB = 'job="polyfloat-news"'
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
INCIDENT_WINDOWS = ("1h", "1d")


class Objective(NamedTuple):
    """A promise over 30 days: which share of the events has to be good, and how bad ones and all are counted.

    `incidents` counts failures one by one: a single late item is a bad event for each of its recipients, and the share
    alone would page for it. Alerts require more than a few incidents.
    """

    name: str
    target: float
    bad: str
    total: str
    incidents: str


def _rate(metric: str, *matchers: str, by: str = "job") -> str:
    return f"sum by ({by}) (rate({metric}{{{', '.join((JOB, *matchers))}}}[WINDOW]))"


def _increase(metric: str, *matchers: str) -> str:
    return f"sum by (job) (increase({metric}{{{', '.join((JOB, *matchers))}}}[WINDOW]))"


_DELIVERIES = _rate("news_delivery_latency_seconds_count")
_IN_TIME = _rate("news_delivery_latency_seconds_bucket", 'le="0.1"')
_WRITTEN = _rate("news_sends_total", 'result="written"')
# Not `draining`: a restart sends clients elsewhere by design.
_SERVER_FAULTS = 'reason=~"capacity|internal_error"'
# Not `lagging`: a client that reads slowly gets everything, at its own pace.
_GIVEN_UP = 'action="disconnected"'
_LOST_PROBES = 'result!="ok"'

OBJECTIVES = (
    Objective(
        "delivery_latency",
        0.99,
        f"{_DELIVERIES} - {_IN_TIME}",
        _DELIVERIES,
        _increase("news_items_late_total"),
    ),
    Objective(
        "delivery_success",
        0.999,
        _rate("news_slow_consumers_total", _GIVEN_UP),
        f"({_WRITTEN} + {_rate('news_slow_consumers_total', _GIVEN_UP)})",
        _increase("news_slow_consumers_total", _GIVEN_UP),
    ),
    Objective(
        "handshake",
        0.999,
        _rate("news_handshake_failures_total", _SERVER_FAULTS),
        f"({_rate('news_connections_opened_total')} + {_rate('news_handshake_failures_total', _SERVER_FAULTS)})",
        _increase("news_handshake_failures_total", _SERVER_FAULTS),
    ),
    Objective(
        "canary",
        0.999,
        _rate("news_canary_probes_total", _LOST_PROBES),
        _rate("news_canary_probes_total"),
        _increase("news_canary_probes_total", _LOST_PROBES),
    ),
)

AGGREGATES = {
    "job:news_connections:sum": f"sum by (job) (news_connections{{{JOB}}})",
    "instance:news_connections:ratio": (
        f"sum by (job, instance) (news_connections{{{JOB}}})"
        f" / (sum by (job, instance) (news_connections_limit{{{JOB}}}) > 0)"
    ),
    # Differences between counters and gauges of one scrape for the same thing; 0, or something leaks.
    "instance:news_connections_unaccounted:sum": (
        f"sum by (job, instance) (news_connections_opened_total{{{JOB}}})"
        f" - sum by (job, instance) (news_connections_closed_total{{{JOB}}})"
        f" - sum by (job, instance) (news_connections{{{JOB}}})"
    ),
    "instance:news_sends_unaccounted:sum": (
        f'sum by (job, instance) (news_filter_decisions_total{{{JOB}, outcome="matched"}})'
        f" - sum by (job, instance) (news_sends_total{{{JOB}}})"
    ),
    "instance:news_decisions_unaccounted:sum": (
        f"sum by (job, instance) (news_filter_slots_asked_total{{{JOB}}})"
        f" - sum by (job, instance) (news_filter_decisions_total{{{JOB}}})"
    ),
    "instance:news_uptime:seconds": f"news_time_seconds{{{JOB}}} - process_start_time_seconds{{{JOB}}}",
    "job:news_connections_opened:rate5m": _rate("news_connections_opened_total").replace("WINDOW", "5m"),
    "job_outcome:news_filter_decisions:rate5m": _rate("news_filter_decisions_total", by="job, outcome").replace(
        "WINDOW", "5m"
    ),
    "job:news_filter_matched:ratio_rate5m": (
        'sum by (job) (job_outcome:news_filter_decisions:rate5m{outcome="matched"})'
        " / (sum by (job) (job_outcome:news_filter_decisions:rate5m) > 0)"
    ),
}


def recording_groups() -> list[dict[str, object]]:
    """Return the groups of recording rules."""
    aggregates = [{"record": name, "expr": expression} for name, expression in AGGREGATES.items()]
    return [
        {"name": "polyfloat-news-aggregates", "rules": aggregates},
        {"name": "polyfloat-news-objectives", "rules": [rule for one in OBJECTIVES for rule in _objective_rules(one)]},
    ]


def _objective_rules(objective: Objective) -> list[dict[str, object]]:
    budget: dict[str, object] = {
        "record": "news:slo_error_budget:ratio",
        "expr": f"vector({1 - objective.target:.6g})",
        "labels": {"slo": objective.name, "job": "polyfloat-news"},
    }
    ratios: list[dict[str, object]] = [
        {
            "record": f"news:slo_error:ratio_rate{window}",
            "expr": f"({objective.bad}) / ({objective.total} > 0)".replace("WINDOW", window),
            "labels": {"slo": objective.name},
        }
        for window in WINDOWS
    ]
    incidents: list[dict[str, object]] = [
        {
            "record": f"news:slo_incidents:increase{window}",
            "expr": objective.incidents.replace("WINDOW", window),
            "labels": {"slo": objective.name},
        }
        for window in INCIDENT_WINDOWS
    ]
    return [budget, *ratios, *incidents]
