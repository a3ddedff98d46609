"""The REST API as a table. This file owns what each call takes and gives; routes and /openapi.json are made of it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp.typedefs import Handler

from app.adapters.http.request.identity import guarded
from app.adapters.http.request.params import Param, connection_id, item_id, news_readers, user_id
from app.adapters.http.request.request_body import JSON, NDJSON
from app.adapters.http.response import responses
from app.adapters.http.rest import news, operations, subscriptions
from app.core.access.identity import Scope
from app.core.errors import ErrorCode
from app.core.filters.filter import Filter
from app.core.limits import Limits
from app.core.news.item import RawNews
from app.telemetry.labels import Method

API = "/api/v1"
_BODY = (
    ErrorCode.INVALID_JSON,
    ErrorCode.PAYLOAD_TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.REQUEST_TIMEOUT,
)
_IDENTITY = (ErrorCode.UNAUTHORIZED, ErrorCode.TOKEN_EXPIRED, ErrorCode.FORBIDDEN)
_STORE = (ErrorCode.STORAGE_FULL, ErrorCode.OVERLOADED)


class Endpoint(NamedTuple):
    """One call. An answer is one of its status' types; a body has the keys of all of its types; parameters by name.

    Every call may also fail with `internal`.
    """

    method: Method
    path: str
    handler: Handler
    # Any: a document, also one of a generic type.
    answers: Mapping[HTTPStatus, tuple[Any, ...]]
    path_params: Mapping[str, Param] = {}
    query: Mapping[str, Param] = {}
    required: tuple[str, ...] = ()
    bodies: Mapping[str, tuple[type[msgspec.Struct], ...]] = {}
    problems: tuple[ErrorCode, ...] = ()
    # What a token must allow, where tokens are asked for.
    scope: Scope | None = None


def api_calls(limits: Limits) -> tuple[Endpoint, ...]:
    """Give the calls under /api/v1; where tokens are asked for, each wants one."""
    return tuple(map(_guarded, (*_news_calls(limits), *_subscription_calls(), *_operator_calls())))


def _guarded(call: Endpoint) -> Endpoint:
    return call._replace(handler=guarded(call.handler, call.scope), problems=(*call.problems, *_IDENTITY))


def health_calls() -> tuple[Endpoint, ...]:
    """Give the calls that say how the server is."""
    ok, unavailable = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE
    return (
        Endpoint(Method.GET, "/health", operations.get_health, dict.fromkeys((ok, unavailable), (responses.Health,))),
        Endpoint(Method.GET, "/livez", operations.get_livez, dict.fromkeys((ok, unavailable), (responses.Liveness,))),
        Endpoint(
            Method.GET, "/readyz", operations.get_readyz, dict.fromkeys((ok, unavailable), (responses.Readiness,))
        ),
    )


def _news_calls(limits: Limits) -> tuple[Endpoint, ...]:
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
            query=news_readers(limits.page_items),
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.OVERLOADED),
        ),
        Endpoint(
            Method.GET,
            f"{API}/news/{{id}}",
            news.get_news_item,
            {HTTPStatus.OK: (responses.StoredItem,)},
            path_params={"id": item_id},
            problems=(ErrorCode.NOT_FOUND,),
        ),
        Endpoint(
            Method.GET,
            f"{API}/news/{{id}}/explain",
            news.get_explanation,
            {HTTPStatus.OK: (responses.UserExplanation,)},
            path_params={"id": item_id},
            query={"user_id": user_id},
            required=("user_id",),
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.UNKNOWN_ITEM),
        ),
    )


def _subscription_calls() -> tuple[Endpoint, ...]:
    one = {"user_id": user_id}
    return (
        Endpoint(
            Method.POST,
            f"{API}/subscriptions",
            subscriptions.post_subscription,
            dict.fromkeys((HTTPStatus.OK, HTTPStatus.CREATED), (responses.SubscriptionSaved,)),
            bodies={JSON: (subscriptions.Owner, Filter)},
            problems=(*_BODY, ErrorCode.INVALID_FILTER, ErrorCode.RATE_LIMITED, *_STORE),
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


def _operator_calls() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            Method.GET,
            f"{API}/stats",
            operations.get_stats,
            {HTTPStatus.OK: (responses.Statistics,)},
            problems=(ErrorCode.OVERLOADED,),
        ),
        Endpoint(Method.GET, f"{API}/limits", operations.get_limits, {HTTPStatus.OK: (responses.ServerLimits,)}),
        Endpoint(
            Method.GET,
            f"{API}/connections",
            operations.get_connections,
            {HTTPStatus.OK: (responses.Connections,)},
            query=operations.CONNECTIONS_QUERY,
            problems=(ErrorCode.INVALID_PARAMETER,),
            scope=Scope.ADMIN,
        ),
        Endpoint(
            Method.DELETE,
            f"{API}/connections/{{id}}",
            operations.delete_connection,
            {HTTPStatus.OK: (responses.ConnectionKicked,)},
            path_params={"id": connection_id},
            problems=(ErrorCode.NOT_FOUND,),
            scope=Scope.ADMIN,
        ),
        Endpoint(
            Method.DELETE,
            f"{API}/users/{{user_id}}/tokens",
            operations.delete_tokens,
            {HTTPStatus.OK: (responses.TokensRevoked,)},
            path_params={"user_id": user_id},
            problems=(ErrorCode.INVALID_PARAMETER, ErrorCode.NOT_FOUND, *_STORE),
            scope=Scope.ADMIN,
        ),
    )
