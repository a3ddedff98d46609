"""The REST API as a table: what each endpoint takes and returns. Routes and /openapi.json are made from it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp.typedefs import Handler

from app.adapters.http.request.identity import guarded
from app.adapters.http.request.params import CONNECTION, ITEM, USER, news_params
from app.adapters.http.request.request_body import JSON, NDJSON
from app.adapters.http.response import responses
from app.adapters.http.rest import news, operations, subscriptions
from app.core.access.identity import Scope
from app.core.errors import ErrorCode
from app.core.filters.filter import Filter
from app.core.limits import Limits
from app.core.news.item import RawNews
from app.core.validation.values import Value
from app.flows.connections.connection_info import ConnectionInfo
from app.telemetry.labels import Method

API = "/api/v1"
_BODY = (
    ErrorCode.INVALID_JSON,
    ErrorCode.PAYLOAD_TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.REQUEST_TIMEOUT,
)
_EVERYWHERE = (
    *(ErrorCode.UNAUTHORIZED, ErrorCode.TOKEN_EXPIRED, ErrorCode.FORBIDDEN),
    *(ErrorCode.HOST_NOT_ALLOWED, ErrorCode.ORIGIN_NOT_ALLOWED, ErrorCode.INVALID_PARAMETER),
    *(ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED),
)
_STORE = (ErrorCode.STORAGE_FULL, ErrorCode.OVERLOADED)


class Endpoint(NamedTuple):
    """One method of one path, and what it accepts and returns.

    `responses` maps each status to a tuple of types: a response with this status is of one of them. `bodies` maps each
    content type to a tuple of types: a JSON body is one object with the keys of all of them. For NDJSON the tuple is
    empty. `required` names the query parameters that a request must have. `problems` are the errors that the endpoint
    may return, besides `internal`, which every endpoint may return. `scope` is the scope that a token must have, if
    tokens are required.
    """

    method: Method
    path: str
    handler: Handler
    # `Any`, because a response may be a class or a parameterized generic type such as Page[StoredItem].
    responses: Mapping[HTTPStatus, tuple[Any, ...]]
    path_params: Mapping[str, Value] = {}
    query: Mapping[str, Value] = {}
    required: tuple[str, ...] = ()
    bodies: Mapping[str, tuple[type[msgspec.Struct], ...]] = {}
    problems: tuple[ErrorCode, ...] = ()
    scope: Scope | None = None


def api_endpoints(limits: Limits) -> tuple[Endpoint, ...]:
    """Return the endpoints under /api/v1. Each verifies the caller's token, if the server requires tokens, and
    refuses query parameters that it does not have.
    """
    return tuple(
        map(
            _guarded,
            (*_news_endpoints(limits), *_subscription_endpoints(), *_operator_endpoints(), *_connection_endpoints()),
        )
    )


def _guarded(endpoint: Endpoint) -> Endpoint:
    handler = guarded(endpoint.handler, endpoint.scope, endpoint.query)
    return endpoint._replace(handler=handler, problems=tuple(dict.fromkeys((*endpoint.problems, *_EVERYWHERE))))


def health_endpoints() -> tuple[Endpoint, ...]:
    """Return the endpoints that report the server's health."""
    ok, unavailable = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE
    return (
        Endpoint(Method.GET, "/health", operations.get_health, dict.fromkeys((ok, unavailable), (responses.Health,))),
        Endpoint(Method.GET, "/livez", operations.get_livez, dict.fromkeys((ok, unavailable), (responses.Liveness,))),
        Endpoint(
            Method.GET, "/readyz", operations.get_readyz, dict.fromkeys((ok, unavailable), (responses.Readiness,))
        ),
    )


def _news_endpoints(limits: Limits) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            Method.POST,
            f"{API}/news",
            news.post_news,
            {HTTPStatus.ACCEPTED: (responses.Receipt, responses.Receipts)},
            bodies={JSON: (RawNews,), NDJSON: ()},
            problems=(*_BODY, ErrorCode.INVALID_PARAMETER, *_STORE, ErrorCode.DRAINING),
            scope=Scope.PUBLISH,
        ),
        Endpoint(
            Method.GET,
            f"{API}/news",
            news.get_news,
            {HTTPStatus.OK: (responses.Page[responses.StoredItem],)},
            query=news_params(limits.history.max_page_items),
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.OVERLOADED),
        ),
        Endpoint(
            Method.GET,
            f"{API}/news/{{id}}",
            news.get_news_item,
            {HTTPStatus.OK: (responses.StoredItem,)},
            path_params={"id": ITEM},
            problems=(ErrorCode.NOT_FOUND,),
        ),
        Endpoint(
            Method.GET,
            f"{API}/news/{{id}}/explain",
            news.get_explanation,
            {HTTPStatus.OK: (responses.UserExplanation,)},
            path_params={"id": ITEM},
            query={"user_id": USER},
            required=("user_id",),
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.UNKNOWN_ITEM),
        ),
    )


def _subscription_endpoints() -> tuple[Endpoint, ...]:
    one = {"user_id": USER}
    return (
        Endpoint(
            Method.POST,
            f"{API}/subscriptions",
            subscriptions.post_subscription,
            dict.fromkeys((HTTPStatus.OK, HTTPStatus.CREATED), (responses.SubscriptionSaved,)),
            bodies={JSON: (subscriptions.Owner, Filter)},
            problems=(*_BODY, ErrorCode.INVALID_FILTER, ErrorCode.RATE_LIMITED, ErrorCode.LIMIT_REACHED, *_STORE),
        ),
        Endpoint(
            Method.POST,
            f"{API}/subscriptions/preview",
            subscriptions.post_preview,
            {HTTPStatus.OK: (responses.PreviewResult[responses.StoredItem],)},
            bodies={JSON: (subscriptions.Window, Filter)},
            problems=(*_BODY, ErrorCode.INVALID_FILTER, ErrorCode.OVERLOADED),
        ),
        Endpoint(
            Method.GET,
            f"{API}/subscriptions/{{user_id}}",
            subscriptions.get_subscription,
            {HTTPStatus.OK: (responses.StoredSubscription,)},
            path_params=one,
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.NOT_FOUND),
        ),
        Endpoint(
            Method.DELETE,
            f"{API}/subscriptions/{{user_id}}",
            subscriptions.delete_subscription,
            {HTTPStatus.OK: (responses.SubscriptionDeleted,)},
            path_params=one,
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.NOT_FOUND, ErrorCode.RATE_LIMITED, *_STORE),
        ),
    )


def _operator_endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            Method.GET,
            f"{API}/stats",
            operations.get_stats,
            {HTTPStatus.OK: (responses.Statistics,)},
            problems=(ErrorCode.OVERLOADED,),
        ),
        Endpoint(Method.GET, f"{API}/limits", operations.get_limits, {HTTPStatus.OK: (responses.ServerLimits,)}),
    )


def _connection_endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            Method.GET,
            f"{API}/connections",
            operations.get_connections,
            {HTTPStatus.OK: (responses.Connections[ConnectionInfo],)},
            query=operations.CONNECTIONS_QUERY,
            problems=(ErrorCode.INVALID_PARAMETER,),
            scope=Scope.ADMIN,
        ),
        Endpoint(
            Method.DELETE,
            f"{API}/connections/{{id}}",
            operations.delete_connection,
            {HTTPStatus.OK: (responses.ConnectionKicked,)},
            path_params={"id": CONNECTION},
            problems=(ErrorCode.NOT_FOUND,),
            scope=Scope.ADMIN,
        ),
        Endpoint(
            Method.DELETE,
            f"{API}/users/{{user_id}}/connections",
            operations.delete_connections,
            {HTTPStatus.OK: (responses.UserKicked,)},
            path_params={"user_id": USER},
            problems=(ErrorCode.INVALID_PARAMETER,),
            scope=Scope.ADMIN,
        ),
        Endpoint(
            Method.DELETE,
            f"{API}/users/{{user_id}}/tokens",
            operations.delete_tokens,
            {HTTPStatus.OK: (responses.TokensRevoked,)},
            path_params={"user_id": USER},
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.NOT_FOUND, *_STORE),
            scope=Scope.ADMIN,
        ),
    )
