"""The handlers for operators: statistics, connections, token revocation, limits and health checks."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web

from app.adapters.http.request.identity import caller_of
from app.adapters.http.request.params import STATE, USER, check_user_id, read_params
from app.adapters.http.response.json_response import json_response
from app.adapters.http.response.responses import (
    ConnectionKicked,
    Connections,
    FeedStates,
    Health,
    Liveness,
    Readiness,
    ServerLimits,
    Statistics,
    TokensRevoked,
    UserKicked,
)
from app.adapters.http.services import CONNECTIONS, CONTEXT, NEWS, OPERATIONS
from app.core.errors import ClientError, ErrorCode
from app.core.validation.values import integer
from app.flows.connections.connection_info import ConnectionInfo
from app.ports.log import NewsLog

CONNECTIONS_QUERY = {"state": STATE, "user_id": USER, "limit": integer(1, 1_000)}

_DAY_S = 86_400.0

_log = structlog.get_logger("operations")


async def get_stats(request: web.Request) -> web.Response:
    """Return statistics of the server, and the epoch, the newest seq and the oldest seq of its log.

    All keys of the original FastAPI service, which this server replaces, are present. Their values are measured, except
    those of `nitter_instances`, which are always 0.
    """
    context, connections, log = request.app[CONTEXT], request.app[CONNECTIONS], request.app[NEWS].log
    operations = request.app[OPERATIONS]
    now, entitled = context.clock.wall(), caller_of(request).entitled
    totals = await request.app[NEWS].history.totals(now - _DAY_S, now, entitled)
    feeds = operations.feed_counts()
    return json_response(
        Statistics(
            total_news_items=totals.items,
            items_last_24h=totals.items_since,
            average_impact=round(totals.average_impact, 2),
            active_connections=len(connections.manager),
            rss_feeds=FeedStates(feeds.total, feeds.active),
            uptime_seconds=round(context.clock.monotonic() - operations.started_at, 2),
            version=context.version,
            connected_users=connections.admission.users,
            epoch=log.epoch,
            seq=log.head,
            oldest_seq=log.oldest,
        )
    )


async def get_connections(request: web.Request) -> web.Response:
    """Return the open connections (`state=closed`: those that ended last, each with the reason), newest first."""
    values = read_params(request.query, CONNECTIONS_QUERY)
    described = request.app[CONNECTIONS].manager.describe(are_open=values.get("state", "open") == "open")
    selected = [info for info in described if values.get("user_id") in (None, info.user_id)]
    max_bytes = request.app[CONTEXT].limits.history.max_page_bytes
    return json_response(Connections(_encoded(selected[: values.get("limit", 100)], max_bytes), len(selected)))


def _encoded(infos: Sequence[ConnectionInfo], max_bytes: int) -> tuple[msgspec.Raw, ...]:
    """Return the JSON of the first connections that together have at most `max_bytes`, but at least one: the filters of
    one connection may have a hundred KB.
    """
    encoded: list[msgspec.Raw] = []
    for info in infos:
        document = msgspec.json.encode(info)
        max_bytes -= len(document)
        if encoded and max_bytes < 0:
            break
        encoded.append(msgspec.Raw(document))
    return tuple(encoded)


async def delete_connection(request: web.Request) -> web.Response:
    """Close a connection with code 4500, which tells its client not to reconnect by itself."""
    session = request.app[CONNECTIONS].manager.kick(request.match_info["id"])
    return json_response(ConnectionKicked("kicked", session.id, session.user_id))


async def delete_connections(request: web.Request) -> web.Response:
    """Close all connections of a user with code 4500, which tells their clients not to reconnect by themselves."""
    user = check_user_id(request.match_info["user_id"])
    return json_response(UserKicked("kicked", user, request.app[CONNECTIONS].manager.kick_user(user)))


async def delete_tokens(request: web.Request) -> web.Response:
    """Revoke every token issued for a user until now, and close the user's connections with code 4500."""
    connections = request.app[CONNECTIONS]
    user = check_user_id(request.match_info["user_id"])
    if not request.app[CONTEXT].verifier.requires_tokens:
        raise ClientError(ErrorCode.NOT_FOUND, "This server requires no tokens")
    return json_response(
        TokensRevoked("revoked", user, await connections.revocations.revoke(user, connections.manager))
    )


async def get_limits(request: web.Request) -> web.Response:
    """Return every limit of this server, by group."""
    return json_response(ServerLimits(request.app[CONTEXT].limits))


async def get_health(request: web.Request) -> web.Response:
    """Return the health of the server; 503 if the database does not answer.

    The format is that of the original FastAPI service.
    """
    is_connected = await _database_answers(request.app[NEWS].log)
    now = request.app[CONTEXT].clock.wall()
    if is_connected:
        return json_response(Health("healthy", "connected", {}, now))
    return json_response(Health("unhealthy", "disconnected", {}, now), HTTPStatus.SERVICE_UNAVAILABLE)


async def get_livez(request: web.Request) -> web.Response:
    """Return whether the broadcaster and the storage make progress; 503 if one does not. A stalled event loop sends no
    answer at all.

    An orchestrator may restart a server that fails this check. So the check uses nothing outside the process, which a
    restart could not repair.
    """
    if not request.app[OPERATIONS].readiness.is_alive():
        return json_response(Liveness("stalled"), HTTPStatus.SERVICE_UNAVAILABLE)
    return json_response(Liveness("alive"))


async def get_readyz(request: web.Request) -> web.Response:
    """Return whether the server accepts new connections and items; 503 if one of the checks fails."""
    version = request.app[CONTEXT].version
    checks = {
        "database": await _database_answers(request.app[NEWS].log),
        **request.app[OPERATIONS].readiness.checks(),
    }
    if all(checks.values()):
        return json_response(Readiness("ready", checks, version))
    return json_response(Readiness("not ready", checks, version), HTTPStatus.SERVICE_UNAVAILABLE)


async def _database_answers(log: NewsLog) -> bool:
    try:
        await log.by_id("")
    # Any failure to read the log means that the server is not healthy, so every exception counts.
    except Exception as error:  # noqa: BLE001
        _log.error("health_check_failed", error=str(error))
        return False
    return True
