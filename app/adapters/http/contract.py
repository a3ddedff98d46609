"""The REST API as a table. This file owns what each call takes and gives; routes and /openapi.json are made of it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp.typedefs import Handler

from app.adapters.http import documents, news, operations, subscriptions
from app.adapters.http.bodies import JSON, NDJSON
from app.adapters.http.identity import guarded
from app.adapters.http.parameters import Reader, connection_id, item_id, news_readers, user_id
from app.core.errors import Code
from app.core.identity import Scope
from app.core.limits import Limits
from app.core.news import RawNews
from app.core.subscription import Filter
from app.telemetry.labels import Method

API = "/api/v1"
_BODY = (Code.INVALID_JSON, Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.REQUEST_TIMEOUT)
_IDENTITY = (Code.UNAUTHORIZED, Code.TOKEN_EXPIRED, Code.FORBIDDEN)
_STORE = (Code.STORAGE_FULL, Code.OVERLOADED)


class Call(NamedTuple):
    """One call. An answer is one of its status' types; a body has the keys of all of its types; parameters by name.

    Every call may also fail with `internal`.
    """

    method: Method
    address: str
    handler: Handler
    # Any: a document, also one of a generic type.
    answers: Mapping[HTTPStatus, tuple[Any, ...]]
    path: Mapping[str, Reader] = {}
    query: Mapping[str, Reader] = {}
    required: tuple[str, ...] = ()
    bodies: Mapping[str, tuple[type[msgspec.Struct], ...]] = {}
    problems: tuple[Code, ...] = ()
    # What a token must allow, where tokens are asked for.
    scope: Scope | None = None


def api_calls(limits: Limits) -> tuple[Call, ...]:
    """Give the calls under /api/v1; where tokens are asked for, each wants one."""
    return tuple(map(_guarded, (*_news_calls(limits), *_subscription_calls(), *_operator_calls())))


def _guarded(call: Call) -> Call:
    return call._replace(handler=guarded(call.handler, call.scope), problems=(*call.problems, *_IDENTITY))


def health_calls() -> tuple[Call, ...]:
    """Give the calls that say how the server is."""
    ok, unavailable = HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE
    return (
        Call(Method.GET, "/health", operations.get_health, dict.fromkeys((ok, unavailable), (documents.Health,))),
        Call(Method.GET, "/livez", operations.get_livez, dict.fromkeys((ok, unavailable), (documents.Liveness,))),
        Call(Method.GET, "/readyz", operations.get_readyz, dict.fromkeys((ok, unavailable), (documents.Readiness,))),
    )


def _news_calls(limits: Limits) -> tuple[Call, ...]:
    return (
        Call(
            Method.POST,
            f"{API}/news",
            news.post_news,
            {HTTPStatus.ACCEPTED: (documents.Receipt, documents.Receipts)},
            bodies={JSON: (RawNews,), NDJSON: ()},
            problems=(*_BODY, Code.INVALID_PARAMETER, *_STORE, Code.DRAINING),
            scope=Scope.PUBLISH,
        ),
        Call(
            Method.GET,
            f"{API}/news",
            news.get_news,
            {HTTPStatus.OK: (documents.Page[documents.StoredItem],)},
            query=news_readers(limits.page_items),
            problems=(Code.INVALID_PARAMETER, Code.OVERLOADED),
        ),
        Call(
            Method.GET,
            f"{API}/news/{{id}}",
            news.get_news_item,
            {HTTPStatus.OK: (documents.StoredItem,)},
            path={"id": item_id},
            problems=(Code.NOT_FOUND,),
        ),
        Call(
            Method.GET,
            f"{API}/news/{{id}}/explain",
            news.get_explanation,
            {HTTPStatus.OK: (documents.UserExplanation,)},
            path={"id": item_id},
            query={"user_id": user_id},
            required=("user_id",),
            problems=(Code.INVALID_PARAMETER, Code.UNKNOWN_ITEM),
        ),
    )


def _subscription_calls() -> tuple[Call, ...]:
    one = {"user_id": user_id}
    return (
        Call(
            Method.POST,
            f"{API}/subscriptions",
            subscriptions.post_subscription,
            dict.fromkeys((HTTPStatus.OK, HTTPStatus.CREATED), (documents.SubscriptionSaved,)),
            bodies={JSON: (subscriptions.Owner, Filter)},
            problems=(*_BODY, Code.INVALID_FILTER, Code.RATE_LIMITED, *_STORE),
        ),
        Call(
            Method.POST,
            f"{API}/subscriptions/preview",
            subscriptions.post_preview,
            {HTTPStatus.OK: (documents.PreviewResult[documents.StoredItem],)},
            bodies={JSON: (subscriptions.Window, Filter)},
            problems=(*_BODY, Code.INVALID_FILTER, Code.OVERLOADED),
        ),
        Call(
            Method.GET,
            f"{API}/subscriptions/{{user_id}}",
            subscriptions.get_subscription,
            {HTTPStatus.OK: (documents.StoredSubscription,)},
            path=one,
            problems=(Code.INVALID_PARAMETER, Code.NOT_FOUND),
        ),
        Call(
            Method.DELETE,
            f"{API}/subscriptions/{{user_id}}",
            subscriptions.delete_subscription,
            {HTTPStatus.OK: (documents.SubscriptionDeleted,)},
            path=one,
            problems=(Code.INVALID_PARAMETER, Code.NOT_FOUND, Code.RATE_LIMITED, *_STORE),
        ),
    )


def _operator_calls() -> tuple[Call, ...]:
    return (
        Call(
            Method.GET,
            f"{API}/stats",
            operations.get_stats,
            {HTTPStatus.OK: (documents.Statistics,)},
            problems=(Code.OVERLOADED,),
        ),
        Call(Method.GET, f"{API}/limits", operations.get_limits, {HTTPStatus.OK: (documents.ServerLimits,)}),
        Call(
            Method.GET,
            f"{API}/connections",
            operations.get_connections,
            {HTTPStatus.OK: (documents.Connections,)},
            query=operations.CONNECTIONS_QUERY,
            problems=(Code.INVALID_PARAMETER,),
            scope=Scope.ADMIN,
        ),
        Call(
            Method.DELETE,
            f"{API}/connections/{{id}}",
            operations.delete_connection,
            {HTTPStatus.OK: (documents.ConnectionKicked,)},
            path={"id": connection_id},
            problems=(Code.NOT_FOUND,),
            scope=Scope.ADMIN,
        ),
        Call(
            Method.DELETE,
            f"{API}/users/{{user_id}}/tokens",
            operations.delete_tokens,
            {HTTPStatus.OK: (documents.TokensRevoked,)},
            path={"user_id": user_id},
            problems=(Code.INVALID_PARAMETER, Code.NOT_FOUND, *_STORE),
            scope=Scope.ADMIN,
        ),
    )
