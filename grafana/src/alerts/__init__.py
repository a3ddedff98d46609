"""Every alert, as tables: its condition, its severity and its text.

critical pages now · warning is for working hours · info is shown on a dashboard · none proves that alerts arrive. Each
has a section in docs/runbook.md and, in tests/observability/alerts, a case in which it fires, one in which it does not
fire yet, and a near miss.

    availability  is the server up, and does it work?
    connections   are clients connected, and can they connect?
    budgets       does an objective's error budget burn too fast?
    delivery      is news stored, matched and sent?
    runtime       what are the process and its database doing?
    alert         the parts of an alert
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
    """Return the groups of alerting rules."""
    return [
        {"name": f"polyfloat-news-{name}", "rules": [rule_of(alert) for alert in alerts]}
        for name, alerts in GROUPS.items()
    ]
