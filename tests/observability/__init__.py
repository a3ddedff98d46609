"""Metrics, rules and dashboards held to each other: what is shown is counted, what is counted is shown."""
