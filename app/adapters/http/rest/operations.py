"""What operators ask. This file owns statistics and health."""

from http import HTTPStatus

import structlog
from aiohttp import web

from app.adapters.http.request.params import check_user_id, read_parameters, state, user_id, whole
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
)
from app.adapters.http.services import PARTS, Parts
from app.core.errors import ClientError, ErrorCode

CONNECTIONS_QUERY = {"state": state, "user_id": user_id, "limit": whole(1, 1_000)}

_DAY_S = 86_400.0

_log = structlog.get_logger("operations")


async def get_stats(request: web.Request) -> web.Response:
    """Give the original's statistics, truthfully, and more."""
    parts = request.app[PARTS]
    now = parts.clock.wall()
    totals = await parts.log.totals(now - _DAY_S)
    feeds = parts.feed_counts()
    return json_response(
        Statistics(
            total_news_items=totals.items,
            items_last_24h=totals.items_since,
            average_impact=round(totals.average_impact, 2),
            active_connections=len(parts.connections),
            rss_feeds=FeedStates(feeds.total, feeds.active),
            uptime_seconds=round(parts.clock.monotonic() - parts.started_at, 2),
            version=parts.version,
            connected_users=parts.connections.users,
            epoch=parts.log.epoch,
            seq=parts.log.head,
            oldest_seq=parts.log.oldest,
        )
    )


async def get_connections(request: web.Request) -> web.Response:
    """Give who is connected, or with state=closed who was and why it ended: newest first."""
    parts = request.app[PARTS]
    asked = read_parameters(request.query, CONNECTIONS_QUERY)
    visits = parts.connections.describe(are_open=asked.get("state", "open") == "open")
    mine = [visit for visit in visits if asked.get("user_id") in (None, visit.user_id)]
    return json_response(Connections(tuple(mine[: asked.get("limit", 100)]), len(mine)))


async def delete_connection(request: web.Request) -> web.Response:
    """End a connection for good (4500): its client is not to come back until something changed."""
    session = request.app[PARTS].connections.kick(request.match_info["id"])
    return json_response(ConnectionKicked("kicked", session.id, session.user_id))


async def delete_tokens(request: web.Request) -> web.Response:
    """Believe no token any more that was issued for a user so far, and end the user's connections (4500)."""
    parts = request.app[PARTS]
    user = check_user_id(request.match_info["user_id"])
    if parts.verifier is None:
        raise ClientError(ErrorCode.NOT_FOUND, "This server asks for no tokens")
    return json_response(TokensRevoked("revoked", user, await parts.revocations.revoke(user, parts.connections)))


async def get_limits(request: web.Request) -> web.Response:
    """Give every limit of this server."""
    return json_response(ServerLimits(request.app[PARTS].limits._asdict()))


async def get_health(request: web.Request) -> web.Response:
    """Give the original's health document; 503 when the database does not answer."""
    parts = request.app[PARTS]
    is_connected = await _database_answers(parts)
    now = parts.clock.wall()
    if is_connected:
        return json_response(Health("healthy", "connected", {}, now))
    return json_response(Health("unhealthy", "disconnected", {}, now), HTTPStatus.SERVICE_UNAVAILABLE)


async def get_livez(request: web.Request) -> web.Response:
    """Say that the event loop and the broadcaster turn; nothing outside the process is asked."""
    if not request.app[PARTS].readiness.is_alive():
        return json_response(Liveness("stalled"), HTTPStatus.SERVICE_UNAVAILABLE)
    return json_response(Liveness("alive"))


async def get_readyz(request: web.Request) -> web.Response:
    """Say whether new connections and items are welcome."""
    parts = request.app[PARTS]
    checks = {"database": await _database_answers(parts), **parts.readiness.checks()}
    if all(checks.values()):
        return json_response(Readiness("ready", checks, parts.version))
    return json_response(Readiness("not ready", checks, parts.version), HTTPStatus.SERVICE_UNAVAILABLE)


async def _database_answers(parts: Parts) -> bool:
    try:
        await parts.log.by_id("")
    # Whatever keeps the log from answering is what a health check is for.
    except Exception as error:  # noqa: BLE001
        _log.error("health_check_failed", error=str(error))
        return False
    return True
