"""The dashboards alone: the rules of Grafana's own linter, and this project's."""

import re
from enum import StrEnum
from typing import Any

import promql_parser
import pytest

from app.core.filters.matching import Outcome
from app.core.protocol.close_codes import DisconnectReason
from app.telemetry import labels
from grafana.src.build import FOLDER, generate
from grafana.src.colors import colors_of
from tests.support.dashboards import Target, concrete, dashboards, panels, targets

ALL = dashboards()
ENUMERATIONS = [one for one in vars(labels).values() if isinstance(one, type) and one is not StrEnum]
UNITS = {"short", "cps", "s", "percentunit", "bytes", "Bps", "ops", "reqps"}


def test_committed_dashboards_are_up_to_date() -> None:
    for name, text in generate().items():
        assert (FOLDER / name).read_text() == text, f"grafana/{name}: run make grafana"


@pytest.mark.parametrize("name", ALL)
def test_dashboard_has_inputs_and_variables(name: str) -> None:
    dashboard = ALL[name]
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}

    assert dashboard["uid"] == name
    assert dashboard.get("id") is None
    assert dashboard["editable"] is False
    assert "__inputs" not in dashboard
    assert variables["datasource"]["label"] == "Data Source"
    for choice in ("job", "instance"):
        variable = variables[choice]
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".+")
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["refresh"] == 2
    assert dashboard["links"][0]["tags"] == dashboard["tags"] == ["polyfloat-news"]


@pytest.mark.parametrize("name", ALL)
def test_panels_do_not_overlap_or_share_ids(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(ALL[name]):
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len(taken) == 24 * len({y for _, y in taken})
    ids = [panel["id"] for panel in ALL[name]["panels"]]

    assert len(ids) == len(set(ids))


EVERY_PANEL = [pytest.param(panel, id=f"{name}-{panel['title']}") for name, one in ALL.items() for panel in panels(one)]


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_panels_have_descriptions_and_units(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]


@pytest.mark.parametrize("target", list(targets()), ids=lambda target: f"{target.dashboard}-{target.panel}")
def test_queries_are_valid_bounded_and_filtered(target: Target) -> None:
    expression = target.expression
    counters = re.findall(r"\b\w+_total\b", expression)

    promql_parser.parse(concrete(expression))
    assert 'job=~"$job' in expression
    assert 'instance=~"$instance"' in expression or "ALERTS" in expression or "news:slo" in expression
    assert not re.search(r"\[(?!\$__rate_interval)\w+\]", expression)
    for counter in counters:
        assert re.search(rf"(rate|increase)\({counter}", expression)


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_series_of_a_panel_have_distinct_colors(panel: dict[str, Any]) -> None:
    colors = {
        override["matcher"]["options"]: change["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
        for change in override["properties"]
        if change["id"] == "color"
    }

    assert len(set(colors.values())) == len(colors)


@pytest.mark.parametrize("enumeration", [DisconnectReason, Outcome, *ENUMERATIONS], ids=lambda one: one.__name__)
def test_every_label_value_has_a_color(enumeration: type[StrEnum]) -> None:
    colors = colors_of(word.value for word in enumeration)

    assert len(set(colors.values())) == len(enumeration)
