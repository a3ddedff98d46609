"""Rules and dashboards as code. `python -m grafana.src.build` writes the files beside this folder; CI compares them.

rules       recording rules: the objectives and the aggregates that alerts and panels share
alerts      every alert, as tables
colors      which color a label value has
panels      the style of panels: units, legends, limits, heights
dashboards  the three dashboards
build       writes grafana/rules, grafana/dashboards and grafana/compose
"""
