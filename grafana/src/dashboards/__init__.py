"""The three dashboards, each the answer to one question.

overview   on call: are all users served?
delivery   which items are delivered, which not and why, and how fast
runtime    how far from the limits, and what the process is doing
frame      what they share
"""

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana.src.dashboards.delivery import delivery
from grafana.src.dashboards.overview import overview
from grafana.src.dashboards.runtime import runtime


def dashboards() -> dict[str, str]:
    """Return the dashboards by name, as JSON."""
    return {dashboard.uid or "": _encode(dashboard) for dashboard in (overview(), delivery(), runtime())}


def _encode(dashboard: model.Dashboard) -> str:
    return json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(dashboard)), indent=2, sort_keys=True) + "\n"
