"""Metrics, rules and dashboards are consistent: everything shown is counted, and everything counted is shown."""
