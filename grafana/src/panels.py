"""How our panels look. This file owns units, legends, colours and thresholds, so that the dashboards only say what.

In expressions `{%}` stands for the job and instance that are chosen, `{%, …}` for those and more.
"""

from typing import Any

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, timeseries
from grafana_foundation_sdk.builders import common as look
from grafana_foundation_sdk.builders import dashboard as frame
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

# Any: the SDK's builders have no common type.
Panel = Any

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = 'job=~"$job", instance=~"$instance"'
RATE = "[$__rate_interval]"
GREEN, ORANGE, RED = "green", "orange", "red"
Step = tuple[float | None, str]

# Good and bad look the same on every panel, whatever their order.
_COLOURS = {
    "matched": GREEN,
    "written": GREEN,
    "delivered": GREEN,
    "2xx": GREEN,
    "pong": GREEN,
    "error": RED,
    "internal_error": RED,
    "5xx": RED,
    "failed": RED,
    "closed": ORANGE,
    "4xx": ORANGE,
}


def query(expression: str, legend: str = "", form: PromQueryFormat | None = None) -> Dataquery:
    """Ask Prometheus for one expression."""
    chosen = expression.replace("{%,", "{" + CHOSEN + ",").replace("{%}", "{" + CHOSEN + "}")
    asked = Dataquery().expr(chosen).legend_format(legend or "__auto").datasource(SOURCE)
    return asked.format(form) if form else asked


def quantile(share: float, metric: str, by: str = "") -> str:
    """Give a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({metric}_bucket{{%}}{RATE})))"


def number(
    title: str, text: str, unit: str, expression: str, *steps: Step, decimals: int | None = None, width: int = 4
) -> Panel:
    """One value of the present, coloured where there are steps."""
    panel = _dress(stat.Panel(), title, text, unit, width, 4).with_target(query(expression)).no_value("quiet")
    panel = panel.reduce_options(look.ReduceDataOptions().calcs(["lastNotNull"])).graph_mode(
        kinds.BigValueGraphMode.AREA
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    if not steps:
        return panel.color_mode(kinds.BigValueColorMode.VALUE)
    return panel.color_mode(kinds.BigValueColorMode.BACKGROUND).thresholds(_thresholds(*steps))


def lines(
    title: str,
    text: str,
    unit: str,
    *queries: Dataquery,
    width: int = 8,
    limit: float | None = None,
    floor: bool = True,
) -> Panel:
    """Values over time; `limit` is a dashed line."""
    panel = _series(title, text, unit, width).fill_opacity(8).line_width(2)
    if floor:
        panel = panel.min(0)
    if limit is not None:
        dashed = look.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds((None, "transparent"), (limit, RED))).thresholds_style(dashed)
    return _targets(panel, queries)


def stack(title: str, text: str, unit: str, *queries: Dataquery, width: int = 8) -> Panel:
    """Parts of a whole over time."""
    stacked = look.StackingConfig().mode(kinds.StackingMode.NORMAL)
    panel = _series(title, text, unit, width).fill_opacity(60).line_width(1).min(0).stacking(stacked)
    return _targets(panel, queries)


def quantiles(
    title: str, text: str, metric: str, width: int = 8, limit: float | None = None, *, examples: bool = False
) -> Panel:
    """The median and the slow end of a histogram, and its examples where it leaves some."""
    shares = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    asked = [query(quantile(share, metric), name).exemplar(examples) for share, name in shares]
    return lines(title, text, "s", *asked, width=width, limit=limit)


def words(title: str, text: str, asked: Dataquery, width: int = 24) -> Panel:
    """What the labels of a metric say at present."""
    panel = _dress(stat.Panel(), title, text, "short", width, 3).with_target(asked)
    panel = panel.text_mode(kinds.BigValueTextMode.NAME).graph_mode(kinds.BigValueGraphMode.NONE)
    return panel.color_mode(kinds.BigValueColorMode.NONE)


def heat(title: str, text: str, metric: str, width: int = 12) -> Panel:
    """A histogram over time."""
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Turbo").steps(64)
    axis = heatmap.YAxisConfig().unit("s")
    panel = _dress(heatmap.Panel(), title, text, "s", width, 8).calculate(False).y_axis(axis).color(colour)
    return panel.with_target(
        query(f"sum by (le) (increase({metric}_bucket{{%}}{RATE}))", "{{le}}", PromQueryFormat.HEATMAP)
    )


def bars(title: str, text: str, unit: str, asked: Dataquery, width: int = 12) -> Panel:
    """Values of the present beside each other."""
    return _dress(bargauge.Panel(), title, text, unit, width, 8).min(0).with_target(asked)


def rates(metric: str, label: str, *matchers: str) -> Dataquery:
    """Ask for a counter's rate by one label."""
    inner = "{%, " + ", ".join(matchers) + "}" if matchers else "{%}"
    return query(f"sum by ({label}) (rate({metric}{inner}{RATE}))", "{{" + label + "}}")


def _dress(panel: Panel, title: str, text: str, unit: str, width: int, height: int) -> Panel:
    return panel.title(title).description(text).unit(unit).datasource(SOURCE).span(width).height(height)


def _series(title: str, text: str, unit: str, width: int) -> Panel:
    legend = (
        look.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.TABLE)
        .placement(kinds.LegendPlacement.BOTTOM)
        .calcs(["mean", "max", "lastNotNull"])
        .show_legend(True)
    )
    tooltip = look.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    panel = _dress(timeseries.Panel(), title, text, unit, width, 8).legend(legend).tooltip(tooltip)
    panel = panel.show_points(kinds.VisibilityMode.NEVER)
    for name, colour in _COLOURS.items():
        fixed = [model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})]
        panel = panel.override_by_name(name, fixed)
    return panel


def _targets(panel: Panel, queries: tuple[Dataquery, ...]) -> Panel:
    for asked in queries:
        panel = panel.with_target(asked)
    return panel


def _thresholds(*steps: Step) -> frame.ThresholdsConfig:
    values = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return frame.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(values)
