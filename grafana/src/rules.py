"""Recording rules. This file owns the objectives, their windows, and the aggregates that alerts and panels share.

Names follow level:metric:operations (Prometheus, practices/rules). `total > 0` in a ratio means that silence gives no
sample instead of NaN. Every expression is valid for Prometheus 2.42 and 3.
"""

from typing import NamedTuple

JOB = 'job="polyfloat-news"'
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


class Objective(NamedTuple):
    """A promise over 30 days: which share of the events has to be good, and how bad ones and all are counted."""

    name: str
    target: float
    bad: str
    total: str


def _rate(metric: str, *matchers: str, by: str = "job") -> str:
    return f"sum by ({by}) (rate({metric}{{{', '.join((JOB, *matchers))}}}[WINDOW]))"


_DELIVERIES = _rate("news_delivery_latency_seconds_count")
_IN_TIME = _rate("news_delivery_latency_seconds_bucket", 'le="0.1"')
_WRITTEN = _rate("news_sends_total", 'result="written"')
_SERVER_FAULTS = 'reason=~"capacity|draining|internal_error"'

OBJECTIVES = (
    Objective(
        "delivery_latency",
        0.99,
        f"{_DELIVERIES} - {_IN_TIME}",
        _DELIVERIES,
    ),
    Objective(
        "delivery_success",
        0.999,
        _rate("news_slow_consumers_total"),
        f"({_WRITTEN} + {_rate('news_slow_consumers_total')})",
    ),
    Objective(
        "handshake",
        0.999,
        _rate("news_handshake_failures_total", _SERVER_FAULTS),
        f"({_rate('news_connections_opened_total')} + {_rate('news_handshake_failures_total', _SERVER_FAULTS)})",
    ),
    Objective(
        "matching",
        0.9999,
        _rate("news_filter_decisions_total", 'outcome="error"'),
        _rate("news_filter_decisions_total"),
    ),
)

AGGREGATES = {
    "job:news_connections:sum": f"sum by (job) (news_connections{{{JOB}}})",
    "instance:news_connections:ratio": (
        f"sum by (job, instance) (news_connections{{{JOB}}})"
        f" / (sum by (job, instance) (news_connections_limit{{{JOB}}}) > 0)"
    ),
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
    """Give the groups of recording rules."""
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
    return [budget, *ratios]
