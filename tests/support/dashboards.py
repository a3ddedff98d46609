"""The committed dashboards and rules, in the form that the checks need."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

GRAFANA = Path(__file__).parents[2] / "grafana"
# Not a part of a recording rule's name, which has colons: job:news_connections:sum.
METRIC = re.compile(r"(?<![:\w])(news_\w+|process_\w+|python_\w+)(?![:\w])")
_SUFFIX = re.compile(r"_(bucket|sum|count|total|info)$")


class Target(NamedTuple):
    """One query of one panel."""

    dashboard: str
    panel: str
    expression: str


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets() -> Iterator[Target]:
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield Target(name, panel["title"], target["expr"])


def rules() -> list[dict[str, Any]]:
    """Return every recording and alerting rule."""
    files = sorted((GRAFANA / "rules").glob("*.yml"))
    return [rule for path in files for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def concrete(expression: str, interval: str = "1m") -> str:
    """Replace Grafana's variables with values."""
    chosen = expression.replace("$__rate_interval", interval).replace("$job", ".+").replace("$instance", ".+")
    return chosen.replace("$__range", "10m")


def family(metric: str) -> str:
    """Return the family that a sample's name belongs to."""
    return _SUFFIX.sub("", metric)


def families_in(expression: str) -> set[str]:
    return {family(metric) for metric in METRIC.findall(expression)}


def tool(name: str) -> str:
    """Return a tool's path; without it the test is skipped, and in CI it fails."""
    path = shutil.which(name)
    if path is None:
        assert not os.environ.get("CI"), f"CI must have {name}"
        pytest.skip(f"{name} is not installed: apt-get install prometheus prometheus-alertmanager")
    return path
