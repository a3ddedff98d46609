"""Build the aiohttp applications: routes, CORS, request metrics and the access log."""

from collections.abc import Iterator, Mapping
from itertools import chain

import aiohttp_cors
import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler

from app.adapters.http.apidocs.endpoints import Endpoint, api_endpoints, health_endpoints
from app.adapters.http.apidocs.pages import protocol_pages
from app.adapters.http.request.client_ip import client_address_of
from app.adapters.http.request.origins import check_host, check_page
from app.adapters.http.response.problems import (
    UNKNOWN_ROUTE,
    add_security_headers,
    answer_problems,
    route_of,
    template_of,
)
from app.adapters.http.rest.metrics import metrics_handler
from app.adapters.http.services import CONTEXT, Services, add_services
from app.adapters.http.web import static
from app.adapters.http.websocket import upgrade
from app.core.errors import ErrorCode, NewsError
from app.telemetry.labels import Method
from app.telemetry.server_stats import ServerStats

_MAX_AGE_S = 3600
_UNCHECKED = ("/health", "/livez", "/readyz", "/metrics", "/ws/news")

# The errors that an operator looks for when a user says that nothing works. They are logged at a limited rate.
_REFUSALS = frozenset(
    {
        *(ErrorCode.UNAUTHORIZED, ErrorCode.TOKEN_EXPIRED, ErrorCode.FORBIDDEN, ErrorCode.HOST_NOT_ALLOWED),
        *(ErrorCode.ORIGIN_NOT_ALLOWED, ErrorCode.UPGRADE_REQUIRED, ErrorCode.RATE_LIMITED, ErrorCode.LIMIT_REACHED),
        *(ErrorCode.TOO_MANY_CONNECTIONS, ErrorCode.AT_CAPACITY, ErrorCode.RESUME_EXPIRED),
    }
)

_log = structlog.get_logger("access")


def build_application(services: Services, files: Mapping[str, static.StaticPage]) -> web.Application:
    """Return the application of the main port. `files` are its static pages, by URL path.

    If a separate port for metrics is set, /metrics is served only there (by `build_operations`).
    """
    app = _new_application(services)
    limits, settings = services.context.limits, services.context.settings
    static.add_pages(app, {**files, **protocol_pages(limits, services.context.version)})
    # An upgrade request must be a GET (RFC 6455 section 4.1); by default add_get accepts HEAD too.
    app.router.add_get("/ws/news", upgrade.get_socket, allow_head=False)
    # To every client except the canary, this path must look unknown: the handler answers with 404. A route for GET
    # alone would answer 405 to other methods, which shows that the path exists.
    app.router.add_route("*", upgrade.CANARY_PATH, upgrade.get_canary)
    _add_health(app)
    if settings.metrics_port is None:
        _add_metrics(app, services)
    _add_rest(app, settings.cors_origins)
    return app


def build_operations(services: Services) -> web.Application:
    """Return the application of the separate metrics port: health checks and /metrics."""
    app = _new_application(services)
    _add_health(app)
    _add_metrics(app, services)
    return app


def _new_application(services: Services) -> web.Application:
    app = web.Application(middlewares=[observe_requests, answer_problems, log_refusals, refuse_foreign_pages])
    app.on_response_prepare.append(add_security_headers)
    add_services(app, services)
    return app


def _add_health(app: web.Application) -> None:
    for endpoint in health_endpoints():
        list(_add(app, endpoint))


def _add(app: web.Application, endpoint: Endpoint) -> Iterator[web.AbstractRoute]:
    """Add the routes of an endpoint: for its path, and for its path with a slash at the end."""
    for path in (endpoint.path, f"{endpoint.path}/"):
        # add_get accepts HEAD too; add_route accepts only the given method.
        if endpoint.method is Method.GET:
            yield app.router.add_get(path, endpoint.handler)
        else:
            yield app.router.add_route(endpoint.method, path, endpoint.handler)


def _add_metrics(app: web.Application, services: Services) -> None:
    app.router.add_get("/metrics", metrics_handler(services.operations.registry))


@web.middleware
async def observe_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Record the count and duration of requests, by route template and method.

    `answer_problems` turns most exceptions of handlers into responses, and these are counted. A request is not counted
    if `answer_problems` passes its exception on, as it does with a ConnectionError.
    """
    stats, clock = request.app[CONTEXT].stats.server, request.app[CONTEXT].clock
    started = clock.monotonic()
    answer = await handler(request)
    route, method = _counted(request, stats)
    stats.record_request(route, method, answer.status, clock.monotonic() - started)
    return answer


def _counted(request: web.Request, stats: ServerStats) -> tuple[str, Method]:
    """Return the route template and the method that a request is counted under.

    They are (UNKNOWN_ROUTE, Method.OTHER) if the request's own pair is not registered in `stats`.
    """
    requested = route_of(request), request.method
    return next((known for known in stats.request_methods if known == requested), (UNKNOWN_ROUTE, Method.OTHER))


@web.middleware
async def log_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log one line for each refused request or upgrade: why it was refused, and where it came from."""
    try:
        return await handler(request)
    except NewsError as error:
        if error.code in _REFUSALS:
            address = client_address_of(request, request.app[CONTEXT].settings).address
            reason, route = error.code.value, route_of(request)
            _log.info("request_refused", reason=reason, detail=error.detail, route=route, address=address)
        raise


@web.middleware
async def refuse_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the host and the page of a request. Raises ClientError(HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED).

    Probes and scrapes are sent to any name, and reveal nothing about users. The handler of the WebSocket checks the
    same, and counts its refusals.
    """
    if route_of(request) not in _UNCHECKED:
        settings = request.app[CONTEXT].settings
        check_host(request, settings)
        check_page(request, settings)
    return await handler(request)


def routes_of(*apps: web.Application) -> Iterator[tuple[str, Method]]:
    """Yield the pairs (route template, method) that requests are counted under. The last pair is (UNKNOWN_ROUTE,
    Method.OTHER), for every request whose own pair is not among them.

    A route that accepts every method yields one pair, with GET. A route for a method that `Method` lacks, such as HEAD,
    yields nothing.
    """
    for route in chain.from_iterable(app.router.routes() for app in apps):
        if route.resource is not None and route.method in {*Method, "*"}:
            yield template_of(route.resource), Method.GET if route.method == "*" else Method(route.method)
    yield UNKNOWN_ROUTE, Method.OTHER


def _add_rest(app: web.Application, origins: tuple[str, ...]) -> None:
    """Add the routes under /api/v1, and allow web pages of the configured origins to call them (CORS).

    CORS does not apply to WebSockets; `check_upgrade_origin` checks the origin of a page that opens one.
    """
    routes = [route for endpoint in api_endpoints(app[CONTEXT].limits) for route in _add(app, endpoint)]
    allowed = aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]
        allow_headers=("Content-Type", "Authorization"), expose_headers=("Retry-After",), max_age=_MAX_AGE_S
    )
    cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(origins, allowed))
    for route in routes:
        cors.add(route)


class AccessLog(AbstractAccessLogger):
    """The access log: one line at debug level for each request, with method, route template, status and duration in
    milliseconds. The path, the query and the headers are left out, because they may contain tokens and user ids.
    """

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        route = route_of(request) if isinstance(request, web.Request) else "unknown"
        _log.debug("http_request", method=request.method, route=route, status=response.status, duration_ms=time * 1000)
