"""The handlers of GET /ws/news and of the canary's endpoint: checks, admission, handshake, and the hand-over of the
transport from aiohttp to a link.

A client is refused before the 101, with an HTTP error status. The reason is that clients of the original FastAPI
service, which this server replaces, wait before the next attempt only after such a status. Only a v2 client that sends
its token later, in the message `auth`, can also be refused after the 101.
"""

import hmac
from collections.abc import Mapping

from aiohttp import hdrs, web

from app.adapters.http.aiohttp_internals import HandedOverResponse, hand_over, open_transport
from app.adapters.http.request.origins import check_host, check_upgrade_origin
from app.adapters.http.services import CONNECTIONS, CONTEXT, ConnectionServices, Context
from app.adapters.http.websocket.connect_query import RESUME_KEYS, parse_connect_query
from app.adapters.http.websocket.link import Handler, SocketLink
from app.adapters.http.websocket.upgrade_request import UpgradeRequest, parse_upgrade
from app.core.errors import NewsError
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.handshake_metrics import refusal_of
from app.flows.connections.pending_auth import UpgradeContext
from app.flows.delivery.session import Session
from app.telemetry.labels import Resume

CANARY_PATH = "/ws/canary"
CANARY_KEY = "X-Canary-Key"


async def get_socket(request: web.Request) -> web.StreamResponse:
    """Upgrade a connection to a WebSocket. Raises NewsError if the client is refused; `answer_problems` turns it into
    an HTTP error response.
    """
    context, connections = request.app[CONTEXT], request.app[CONNECTIONS]
    started = context.clock.monotonic()
    try:
        upgrade = parse_upgrade(request, context.settings)
        connections.connect_rate.check(upgrade.client.rate_key)
        check_host(request, context.settings)
        check_upgrade_origin(request, context.settings)
        if context.verifier.requires_tokens and upgrade.is_v2 and upgrade.token is None:
            return _accept_without_token(request, upgrade, context, connections)
        session = await _admit(upgrade, context, connections)
    except NewsError as error:
        context.stats.connections.record_refusal(refusal_of(error, names_user="user_id" in request.query))
        if any(bad.pointer in RESUME_KEYS for bad in error.fields):
            context.stats.recovery.record_resume(Resume.INVALID)
        raise
    try:
        answer = _start(request, session, connections.dispatcher, upgrade.response_headers())
    finally:
        if session.link is None:
            connections.manager.release(session, DisconnectReason.NETWORK)
    context.stats.connections.record_handshake(context.clock.monotonic() - started)
    return answer


async def _admit(upgrade: UpgradeRequest, context: Context, connections: ConnectionServices) -> Session:
    identity = await context.verifier.verify(upgrade.token)
    wanted = parse_connect_query(upgrade, context.limits)
    return await connections.connect.admit(wanted, identity, upgrade.peer)


def _accept_without_token(
    request: web.Request, upgrade: UpgradeRequest, context: Context, connections: ConnectionServices
) -> web.StreamResponse:
    """Upgrade a client that will send its token in the message `auth`.

    Raises NewsError before the 101 if the query is not valid or the server accepts no connection now.
    """
    wanted = parse_connect_query(upgrade, context.limits)
    pending = connections.pending.accept(UpgradeContext(wanted, upgrade.peer))
    try:
        return _start(request, pending.session, pending, upgrade.response_headers())
    finally:
        if pending.session.link is None:
            connections.pending.remove(pending)


async def get_canary(request: web.Request) -> web.StreamResponse:
    """Upgrade the connection of the server's own canary, which is neither admitted nor counted. A request without the
    canary's key, or with another method than GET, is answered with 404.
    """
    context, connections = request.app[CONTEXT], request.app[CONNECTIONS]
    key = request.headers.get(CANARY_KEY, "").encode(errors="replace")
    if request.method != hdrs.METH_GET or not hmac.compare_digest(key, connections.canary_key.encode()):
        raise web.HTTPNotFound
    upgrade = parse_upgrade(request, context.settings)
    handler = connections.canary_handler
    return _start(request, handler.new_session(), handler, {"Sec-WebSocket-Accept": upgrade.accept})


def _start(request: web.Request, session: Session, handler: Handler, headers: Mapping[str, str]) -> web.StreamResponse:
    """Create the link of a session and complete the upgrade. Raises ConnectionResetError if the client has left."""
    max_bytes = request.app[CONTEXT].limits.messages.max_bytes
    return switch_protocols(request, SocketLink(open_transport(request), session, handler, max_bytes), headers)


def switch_protocols(request: web.Request, link: SocketLink, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send the 101, and hand the transport over to a link, together with the bytes that the client sent after its
    request.

    Raises ConnectionResetError if the client has left.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    open_transport(request).write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\r\n".encode()
    )
    early = hand_over(request, link)
    link.open()
    if early:
        link.data_received(early)
    return HandedOverResponse(status=101)
