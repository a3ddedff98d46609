"""Alerts: does an objective's error budget burn too fast?"""

from grafana.src.alerts.alert import Alert

# Ten incidents may be chance, whatever share of a quiet hour's events they are; increase() extrapolates a little.
_CHANCE = 10.5


def _burning(*pairs: tuple[str, str, float], incidents_in: str) -> str:
    """Return an expression for a budget that burns in a short and in a long window at once (SRE workbook, chapter 5),
    and not by chance.
    """
    burning = "\nor\n".join(
        f"(\n  news:slo_error:ratio_rate{short} > on (job, slo) ({rate:g} * news:slo_error_budget:ratio)\n"
        f"  and on (job, slo)\n"
        f"  news:slo_error:ratio_rate{long} > on (job, slo) ({rate:g} * news:slo_error_budget:ratio)\n)"
        for short, long, rate in pairs
    )
    return f"(\n{burning}\n)\nand on (job, slo)\nnews:slo_incidents:increase{incidents_in} > {_CHANCE}"


BUDGETS = (
    Alert(
        "NewsErrorBudgetBurnFast",
        "critical",
        None,
        _burning(("5m", "1h", 14.4), ("30m", "6h", 6), incidents_in="1h"),
        "The objective {{ $labels.slo }} burns its error budget too fast.",
        "{{ $value | humanizePercentage }} of the events miss it.",
        "delivery",
    ),
    Alert(
        "NewsErrorBudgetBurnSlow",
        "warning",
        "15m",
        _burning(("2h", "1d", 3), ("6h", "3d", 1), incidents_in="1d"),
        "The objective {{ $labels.slo }} burns its error budget.",
        "{{ $value | humanizePercentage }} of the events miss it.",
        "delivery",
    ),
)
