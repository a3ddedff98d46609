"""Every alert, as tables: when somebody is called, with which words, and what they read first.

critical calls somebody now · warning is for working hours · info stands on a dashboard · none proves that alerts
arrive. Each has an anchor of its own in docs/runbook.md and, in tests/observability/alerts, a case in which it fires,
one in which it does not fire yet, and a near miss.

availability  is the server there, and does it work?
connections   are clients connected, and do they get in?
budgets       does an objective's error budget burn too fast?
delivery      does news come in, is it matched, does it go out?
runtime       what are the process and its database doing?
alert         what an alert is
"""

from grafana.src.alerts.alert import rule_of
from grafana.src.alerts.availability import AVAILABILITY
from grafana.src.alerts.budgets import BUDGETS
from grafana.src.alerts.connections import CONNECTIONS
from grafana.src.alerts.delivery import DELIVERY
from grafana.src.alerts.runtime import RUNTIME

GROUPS = {
    "availability": AVAILABILITY,
    "connections": CONNECTIONS,
    "budgets": BUDGETS,
    "delivery": DELIVERY,
    "runtime": RUNTIME,
}


def alert_groups() -> list[dict[str, object]]:
    """Give the groups of alerting rules."""
    return [
        {"name": f"polyfloat-news-{name}", "rules": [rule_of(alert) for alert in alerts]}
        for name, alerts in GROUPS.items()
    ]
