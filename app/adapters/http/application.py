"""Every route. This file owns the map from paths to handlers, CORS, and the access log."""

from collections.abc import Iterator
from itertools import chain

import aiohttp_cors
import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler

from app.adapters.http.apidocs.endpoints import Endpoint, api_calls, health_calls
from app.adapters.http.apidocs.pages import protocol_pages
from app.adapters.http.response.problems import UNKNOWN_ROUTE, answer_problems, route_of
from app.adapters.http.rest.metrics import metrics_handler
from app.adapters.http.services import PARTS, Parts
from app.adapters.http.web import static
from app.adapters.http.websocket import upgrade
from app.telemetry.labels import Method
from app.telemetry.stats import Stats

_MAX_AGE_S = 3600

_log = structlog.get_logger("access")


def build_application(parts: Parts) -> web.Application:
    """Give the application that users reach."""
    app = _new_application(parts)
    static.add_pages(app, {**parts.pages, **protocol_pages(parts.limits, parts.version)})
    # HEAD would be an upgrade without a body to aiohttp; only GET is.
    app.router.add_get("/ws/news", upgrade.get_socket, allow_head=False)
    # Every method, so that the address answers strangers like one that is not there.
    app.router.add_route("*", upgrade.CANARY_PATH, upgrade.get_canary)
    _add_health(app)
    if parts.settings.metrics_port is None:
        _add_metrics(app, parts)
    _add_rest(app, parts.settings.cors_origins)
    return app


def build_operations(parts: Parts) -> web.Application:
    """Give the application of a port of its own for metrics."""
    app = _new_application(parts)
    _add_health(app)
    _add_metrics(app, parts)
    return app


def _new_application(parts: Parts) -> web.Application:
    app = web.Application(middlewares=[observe_requests, answer_problems])
    app[PARTS] = parts
    return app


def _add_health(app: web.Application) -> None:
    for call in health_calls():
        _add(app, call)


def _add(app: web.Application, call: Endpoint) -> web.AbstractRoute:
    # Only add_get answers HEAD too.
    if call.method is Method.GET:
        return app.router.add_get(call.path, call.handler)
    return app.router.add_route(call.method, call.path, call.handler)


def _add_metrics(app: web.Application, parts: Parts) -> None:
    app.router.add_get("/metrics", metrics_handler(parts.registry))


@web.middleware
async def observe_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and time a request under its route's template."""
    stats, clock = request.app[PARTS].stats, request.app[PARTS].clock
    began = clock.monotonic()
    answer = await handler(request)
    route, method = _counted(request, stats)
    stats.request_answered(route, method, answer.status, clock.monotonic() - began)
    return answer


def _counted(request: web.Request, stats: Stats) -> tuple[str, Method]:
    """Name what a request counts as: a route with a method that it has, or else what nobody knows."""
    asked = route_of(request), request.method
    return next((known for known in stats.request_methods if known == asked), (UNKNOWN_ROUTE, Method.OTHER))


def routes_of(*apps: web.Application) -> Iterator[tuple[str, Method]]:
    """Give every route's template with each of its methods, and what all other requests are counted under."""
    for route in chain.from_iterable(app.router.routes() for app in apps):
        if route.resource is not None and route.method in {*Method, "*"}:
            yield route.resource.canonical, Method.GET if route.method == "*" else Method(route.method)
    yield UNKNOWN_ROUTE, Method.OTHER


def _add_rest(app: web.Application, origins: tuple[str, ...]) -> None:
    """Add /api/v1, open to the configured origins. CORS does not guard WebSockets: /ws/news is not its business."""
    routes = [_add(app, call) for call in api_calls(app[PARTS].limits)]
    allowed = aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]
        allow_headers=("Content-Type", "Authorization"), expose_headers=("Retry-After",), max_age=_MAX_AGE_S
    )
    cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(origins, allowed))
    for route in routes:
        cors.add(route)


class AccessLog(AbstractAccessLogger):
    """One line a request at debug level: method, route template, status, time. Never a path, a query or a header."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        route = route_of(request) if isinstance(request, web.Request) else "unknown"
        _log.debug("http_request", method=request.method, route=route, status=response.status, duration_ms=time * 1000)
