"""/metrics. This file owns the choice of format, and the answer."""

from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from app.telemetry.rendering import Format, Renderer

_OPENMETRICS = "application/openmetrics-text"


def metrics_handler(registry: CollectorRegistry) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """Give the handler for a registry: `?name[]=` chooses metrics, Accept chooses the format."""
    renderer = Renderer()

    async def get_metrics(request: web.Request) -> web.Response:
        _, content_type = choose_encoder(",".join(request.headers.getall("Accept", [])))
        names = request.query.getall("name[]", [])
        chosen = registry.restricted_registry(names) if names else registry
        form = Format.OPENMETRICS if content_type.startswith(_OPENMETRICS) else Format.TEXT
        answer = web.Response(body=renderer.render(chosen, form), headers={"Content-Type": content_type})
        answer.enable_compression()
        return answer

    return get_metrics
