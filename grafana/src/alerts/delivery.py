"""Alerts: is news stored, matched and sent?"""

from grafana.src.alerts.alert import Alert, growing
from grafana.src.rules import JOB

_DECISIONS = f"sum by (job) (increase(news_filter_decisions_total{{{JOB}}}[15m]))"

DELIVERY = (
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
        f'sum by (job) (rate(news_slow_consumers_total{{{JOB}, action="disconnected"}}[10m])) * 60'
        " / (job:news_connections:sum > 50) > 0.01",
        "Many clients are too slow.",
        "{{ $value | humanizePercentage }} of the connections a minute are disconnected for being slow.",
        "delivery",
    ),
    Alert(
        "NewsResumeGaps",
        "warning",
        None,
        f"sum by (job) (increase(news_gap_items_total{{{JOB}}}[15m])) > 0",
        "Clients missed items for good.",
        "{{ $value | humanize }} items were no longer stored when their clients came for them.",
        "delivery",
    ),
    Alert(
        "NewsRedeliveriesExhausted",
        "warning",
        None,
        f"sum by (job) (increase(news_redeliveries_exhausted_total{{{JOB}}}[15m])) > 0",
        "Clients take items and never acknowledge them.",
        "{{ $value | humanize }} connections were ended after the last attempt.",
        "delivery",
    ),
    Alert(
        "NewsIngestSilent",
        "warning",
        "15m",
        f"sum by (job) (increase(news_items_accepted_total{{{JOB}}}[30m])) == 0"
        # Neither a server that was just started nor one that never had news is silent.
        " and max by (job) (instance:news_uptime:seconds) > 1800"
        f" and sum by (job) (news_history_head_sequence{{{JOB}}}) > 0",
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
        "Most fetches of feeds fail.",
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
        "NewsBroadcastErrors",
        "critical",
        None,
        f'sum by (job, instance) (increase(news_items_broadcast_total{{{JOB}, result="error"}}[5m])) > 0',
        "{{ $labels.instance }} could not broadcast items.",
        "{{ $value | humanize }} items failed in 5 minutes and were not delivered.",
        "delivery",
    ),
    Alert(
        "NewsBrokenFilters",
        "warning",
        "10m",
        f'sum by (job, instance) (news_subscriptions{{{JOB}, state="broken"}}) > 0',
        "{{ $labels.instance }} serves users whose filter cannot be read.",
        "{{ $value }} connections get nothing until their filter is stored again.",
        "delivery",
    ),
    Alert(
        "NewsDecisionAccounting",
        "info",
        "15m",
        growing("instance:news_decisions_unaccounted:sum"),
        "Decisions do not add up on {{ $labels.instance }}.",
        "items x live slots - decisions = {{ $value }}: a bug in the server or in its metrics.",
        "delivery",
    ),
    Alert(
        "NewsSendAccounting",
        "info",
        "15m",
        growing("instance:news_sends_unaccounted:sum"),
        "Sends do not add up on {{ $labels.instance }}.",
        "matched - sends = {{ $value }}: a bug in the server or in its metrics.",
        "delivery",
    ),
)
