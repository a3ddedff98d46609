"""The handler of /metrics: choose the text format and the content encoding, and render the metrics."""

import gzip
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from app.telemetry.rendering import Format, Renderer

_OPENMETRICS = "application/openmetrics-text"
# Compressing blocks the event loop and so delays every connection. That is why the fastest level is used: the next
# levels take three times as long and save only another quarter of the bytes.
_GZIP_LEVEL = 1


def metrics_handler(registry: CollectorRegistry) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """Return the handler that serves the metrics of a registry. The query parameter `name[]` selects metrics by name,
    and the header Accept selects the format.
    """
    renderer = Renderer()

    async def get_metrics(request: web.Request) -> web.Response:
        _, content_type = choose_encoder(",".join(request.headers.getall("Accept", [])))
        names = request.query.getall("name[]", [])
        chosen = registry.restricted_registry(names) if names else registry
        form = Format.OPENMETRICS if content_type.startswith(_OPENMETRICS) else Format.TEXT
        return _answer(request, renderer.render(chosen, form), content_type)

    return get_metrics


def _answer(request: web.Request, body: bytes, content_type: str) -> web.Response:
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=body, headers=headers)
    compressed = gzip.compress(body, _GZIP_LEVEL)
    return web.Response(body=compressed, headers={**headers, "Content-Encoding": "gzip"})
