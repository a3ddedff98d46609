"""The parts of an alert, and the rule that Prometheus gets."""

from typing import NamedTuple

_RUNBOOK = "docs/runbook.md#"


class Alert(NamedTuple):
    """One alert. `lasting` is how long the expression must hold; None fires at once."""

    name: str
    severity: str
    lasting: str | None
    expression: str
    summary: str
    description: str
    dashboard: str = "overview"


def rule_of(alert: Alert) -> dict[str, object]:
    """Return the alerting rule."""
    return {
        "alert": alert.name,
        "expr": alert.expression,
        **({"for": alert.lasting} if alert.lasting else {}),
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": _RUNBOOK + alert.name.lower(),
            "dashboard": f"/d/news-{alert.dashboard}",
        },
    }


def growing(difference: str) -> str:
    """Return an expression for a difference that is not 0 and has changed within the hour: an old one is known, and
    remains until a restart.
    """
    return f"abs({difference}) > 0 and changes({difference}[1h]) > 0"
