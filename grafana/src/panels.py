"""The style of panels: units, legends, limits and heights, so that dashboards only define content.

In expressions `{%}` stands for the selected job and instance, `{%, …}` for those and more.
"""

from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, timeseries
from grafana_foundation_sdk.builders import common as look
from grafana_foundation_sdk.builders import dashboard as frame
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.src.colors import BLUE, NEUTRAL, RED, colors_of, words_of

# Any: the SDK's builders have no common type.
Panel = Any

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = 'job=~"$job", instance=~"$instance"'
RATE = "[$__rate_interval]"
LIMIT = "limit"
"""The legend of a series that is a limit: a dashed line without an area."""
Step = tuple[float | None, str]

# High enough that a legend shows p50, p95 and p99 without scrolling.
_HEIGHT = 9
_WIDE = 12


class Query(NamedTuple):
    """One Prometheus query, and the closed set of values that its result is split by."""

    asked: Dataquery
    words: tuple[str, ...] = ()


def query(expression: str, legend: str = "", *, examples: bool = False) -> Query:
    """Query one expression, and the exemplars of its histogram."""
    chosen = expression.replace("{%,", "{" + CHOSEN + ",").replace("{%}", "{" + CHOSEN + "}")
    asked = Dataquery().expr(chosen).legend_format(legend or "__auto").datasource(SOURCE)
    return Query(asked.exemplar(True) if examples else asked)


def rates(metric: str, label: str, *matchers: str) -> Query:
    """Query a counter's rate by one label."""
    inner = "{%, " + ", ".join(matchers) + "}" if matchers else "{%}"
    asked = query(f"sum by ({label}) (rate({metric}{inner}{RATE}))", "{{" + label + "}}")
    return asked._replace(words=words_of(metric, label))


def quantile(share: float, metric: str, by: str = "") -> str:
    """Query a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({metric}_bucket{{%}}{RATE})))"


def number(
    title: str, text: str, unit: str, expression: str, *steps: Step, decimals: int | None = None, width: int = 4
) -> Panel:
    """One current value, colored if there are thresholds."""
    panel = _dress(stat.Panel(), title, text, unit, width, 5).with_target(query(expression).asked).no_value("quiet")
    panel = panel.reduce_options(look.ReduceDataOptions().calcs(["lastNotNull"])).graph_mode(
        kinds.BigValueGraphMode.AREA
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    if not steps:
        return panel.color_mode(kinds.BigValueColorMode.VALUE).thresholds(_thresholds((None, NEUTRAL)))
    return panel.color_mode(kinds.BigValueColorMode.BACKGROUND).thresholds(_thresholds(*steps))


def words(title: str, text: str, asked: Query, width: int = 24) -> Panel:
    """The current label values of a metric."""
    panel = _dress(stat.Panel(), title, text, "short", width, 3).with_target(asked.asked)
    panel = panel.text_mode(kinds.BigValueTextMode.NAME).graph_mode(kinds.BigValueGraphMode.NONE)
    return panel.color_mode(kinds.BigValueColorMode.NONE)


def lines(
    title: str,
    text: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    limit: float | None = None,
    floor: bool = True,
) -> Panel:
    """Values over time; `limit` is a dashed line, visible also if the values are far below (except for times)."""
    panel = _series(title, text, unit, width).fill_opacity(8).line_width(2)
    if floor:
        panel = panel.min(0)
    if limit is not None:
        dashed = look.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds((None, "transparent"), (limit, RED))).thresholds_style(dashed)
        panel = panel if unit == "s" else panel.axis_soft_max(limit * 1.05)
    return _targets(panel, queries)


def stack(title: str, text: str, unit: str, *queries: Query, width: int = 8) -> Panel:
    """Parts of a whole over time."""
    stacked = look.StackingConfig().mode(kinds.StackingMode.NORMAL)
    panel = _series(title, text, unit, width).fill_opacity(60).line_width(1).min(0).stacking(stacked)
    return _targets(panel, queries)


def quantiles(
    title: str, text: str, metric: str, width: int = 8, limit: float | None = None, *, examples: bool = False
) -> Panel:
    """The median and the slow end of a histogram, and its exemplars if it has some."""
    shares = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    asked = [query(quantile(share, metric), name, examples=examples) for share, name in shares]
    return lines(title, text, "s", *asked, width=width, limit=limit)


def heat(title: str, text: str, metric: str, width: int = 24) -> Panel:
    """A histogram over time."""
    color = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Turbo").steps(64)
    axis = heatmap.YAxisConfig().unit("s")
    panel = _dress(heatmap.Panel(), title, text, "s", width, 11).calculate(False).y_axis(axis).color(color)
    counts = query(f"sum by (le) (increase({metric}_bucket{{%}}{RATE}))", "{{le}}").asked
    return panel.with_target(counts.format(PromQueryFormat.HEATMAP))


def bars(title: str, text: str, asked: Query, width: int = 12) -> Panel:
    """Current shares side by side; a full bar is the whole."""
    panel = _dress(bargauge.Panel(), title, text, "percentunit", width, _HEIGHT).min(0).max(1)
    panel = panel.orientation(kinds.VizOrientation.HORIZONTAL).thresholds(_thresholds((None, BLUE)))
    return panel.with_target(asked.asked)


def _dress(panel: Panel, title: str, text: str, unit: str, width: int, height: int) -> Panel:
    return panel.title(title).description(text).unit(unit).datasource(SOURCE).span(width).height(height)


def _series(title: str, text: str, unit: str, width: int) -> Panel:
    side = kinds.LegendPlacement.RIGHT if width >= _WIDE else kinds.LegendPlacement.BOTTOM
    legend = (
        look.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.TABLE)
        .placement(side)
        .calcs(["mean", "max", "lastNotNull"])
        .show_legend(True)
    )
    tooltip = look.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    panel = _dress(timeseries.Panel(), title, text, unit, width, _HEIGHT).legend(legend).tooltip(tooltip)
    return panel.show_points(kinds.VisibilityMode.NEVER)


def _targets(panel: Panel, queries: tuple[Query, ...]) -> Panel:
    for asked in queries:
        panel = panel.with_target(asked.asked)
        for word, color in colors_of(asked.words).items():
            panel = panel.override_by_name(word, [_colored(color)])
        if asked.asked.build().legend_format == LIMIT:
            panel = panel.override_by_name(LIMIT, _AS_LIMIT)
    return panel


def _colored(color: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})


_AS_LIMIT = [
    _colored(RED),
    model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}),
    model.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
]


def _thresholds(*steps: Step) -> frame.ThresholdsConfig:
    values = [model.Threshold(value=value, color=color) for value, color in steps]
    return frame.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(values)
