"""What all dashboards share: variables, annotations and links, and the layout of rows of panels."""

from grafana_foundation_sdk.builders import dashboard as frame
from grafana_foundation_sdk.models import dashboard as model

from grafana.src.panels import RATE, SOURCE, Panel

_TAG = "polyfloat-news"


def new_dashboard(uid: str, title: str, text: str) -> frame.Dashboard:
    built = (
        frame.Dashboard(f"polyfloat-news / {title}")
        .uid(f"news-{uid}")
        .description(text)
        .tags([_TAG])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(frame.DatasourceVariable("datasource").label("Data Source").type("prometheus"))
        .with_variable(_variable("job", "label_values(news_build_info, job)"))
        .with_variable(_variable("instance", 'label_values(news_build_info{job=~"$job"}, instance)'))
    )
    marks = (
        ("Restarts", f'changes(process_start_time_seconds{{job=~"$job", instance=~"$instance"}}{RATE}) > 0', "purple"),
        ("Critical alerts", 'ALERTS{alertstate="firing", severity="critical", job=~"$job"}', "red"),
        ("New version", 'news_build_info{job=~"$job"} unless news_build_info{job=~"$job"} offset 5m', "blue"),
    )
    for name, expression, color in marks:
        built = built.annotation(
            frame.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(color).expr(expression)
        )
    link = frame.DashboardLink("polyfloat-news").type(model.DashboardLinkType.DASHBOARDS).tags([_TAG])
    return built.link(link.include_vars(True).keep_time(True).as_dropdown(False))


def _variable(name: str, values: str) -> frame.QueryVariable:
    return (
        frame.QueryVariable(name)
        .label(name)
        .query(values)
        .datasource(SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )


def with_rows(built: frame.Dashboard, rows: dict[str, list[Panel]]) -> model.Dashboard:
    for title, panels in rows.items():
        built = built.with_row(frame.Row(title))
        for panel in panels:
            built = built.with_panel(panel)
    dashboard = built.build()
    for position, panel in enumerate(dashboard.panels or [], start=1):
        panel.id_val = position
    return dashboard
