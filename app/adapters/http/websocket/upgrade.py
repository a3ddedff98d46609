"""GET /ws/news, and the canary's own door. This file owns admission, the handshake and handing the transport over.

Everything is decided before the 101, by HTTP status: the original's real client backs off only on that.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import NoReturn

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import MultiMapping

from app.adapters.http.request.client_ip import client_ip_of
from app.adapters.http.request.identity import brings_token, identify
from app.adapters.http.request.origins import check_origin
from app.adapters.http.services import PARTS, Parts
from app.adapters.http.websocket.handshake_metrics import refusal
from app.adapters.http.websocket.link import ConnectionHandler, SocketLink
from app.adapters.http.websocket.pending_auth import UpgradeContext
from app.adapters.http.websocket.upgrade_request import RESUME_KEYS, chosen_headers, read_opening, speaks_v2
from app.core.access.identity import Identity
from app.core.errors import ClientError, ErrorCode, FieldError, NewsError
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.connect import ConnectRequest
from app.flows.delivery.session import Session
from app.telemetry.labels import Resume

# RFC 6455 section 1.3.
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = "13"

# Until it says who it is.
_NOBODY = "-"

CANARY_PATH = "/ws/canary"
CANARY_KEY = "X-Canary-Key"


class _HandedOver(web.StreamResponse):
    """What the handler returns: the answer went out already and the transport is no longer aiohttp's."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


async def get_socket(request: web.Request) -> web.StreamResponse:
    """Upgrade to a WebSocket, or refuse by status."""
    parts = request.app[PARTS]
    began = parts.clock.monotonic()
    try:
        accept = _check_handshake(request)
        address = client_ip_of(request, parts.settings)
        parts.connections.check_connect_rate(address)
        check_origin(request, parts.settings.allowed_origins)
        if parts.verifier is not None and speaks_v2(request) and not brings_token(request):
            return _let_wait(request, parts, accept, address)
        identity = await identify(request)
        opening = read_opening(request, parts.limits.channels, identity)
        session = parts.connections.admit(opening.user_id, opening.device_id, address)
    except NewsError as error:
        parts.stats.refused[refusal(error, request.query)] += 1
        if any(bad.pointer in RESUME_KEYS for bad in error.fields):
            parts.stats.recovery.resumed(Resume.INVALID)
        raise
    try:
        await parts.greeting.prepare(session, opening)
        _hand_over(request, session, parts.converse, _answer_headers(request, accept))
    except NewsError as error:
        parts.stats.refused[refusal(error, request.query)] += 1
        raise
    finally:
        if session.link is None:
            parts.connections.release(session, DisconnectReason.NETWORK)
    parts.stats.handshakes.observe(parts.clock.monotonic() - began)
    return _HandedOver(status=101)


def _let_wait(request: web.Request, parts: Parts, accept: str, address: str) -> web.StreamResponse:
    """Upgrade for a client that is to say later who it is. Raises NewsError for what can be said by status now."""

    def opening_for(identity: Identity) -> ConnectRequest:
        return read_opening(request, parts.limits.channels, identity)

    opening = opening_for(Identity(request.query.get("user_id", _NOBODY)))
    guest = parts.anteroom.accept(UpgradeContext(dict(request.query), address, opening.window_bits, opening_for))
    _hand_over(request, guest.session, guest, _answer_headers(request, accept))
    return _HandedOver(status=101)


def _answer_headers(request: web.Request, accept: str) -> dict[str, str]:
    return {"Sec-WebSocket-Accept": accept, **chosen_headers(request)}


async def get_canary(request: web.Request) -> web.StreamResponse:
    """Let our own canary in, past the users' seats and counts. For everybody else this address does not exist."""
    parts = request.app[PARTS]
    given = request.headers.get(CANARY_KEY, "").encode(errors="replace")
    if request.method != hdrs.METH_GET or not hmac.compare_digest(given, parts.canary_key.encode()):
        raise web.HTTPNotFound
    accept = _check_handshake(request)
    _hand_over(request, parts.canary_end.new_session(), parts.canary_end, {"Sec-WebSocket-Accept": accept})
    return _HandedOver(status=101)


def _check_handshake(request: web.Request) -> str:
    """Check the opening handshake (RFC 6455 section 4.2.1) and give Sec-WebSocket-Accept. Raises Theirs."""
    headers = request.headers
    if "websocket" not in _tokens(headers, "Upgrade") or "upgrade" not in _tokens(headers, "Connection"):
        raise ClientError(ErrorCode.UPGRADE_REQUIRED, "This address speaks WebSocket: connect with a WebSocket client")
    if request.version != HttpVersion11:
        raise ClientError(ErrorCode.UPGRADE_REQUIRED, "A WebSocket upgrade needs HTTP/1.1")
    if headers.get("Sec-WebSocket-Version") != _VERSION:
        _refuse_header("Sec-WebSocket-Version", f"want {_VERSION}")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            _refuse_header("Sec-WebSocket-Key", "want 16 bytes in base64")
    except (binascii.Error, ValueError):
        _refuse_header("Sec-WebSocket-Key", "want 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(key.encode() + _KEY_SUFFIX, usedforsecurity=False).digest()).decode()


def _tokens(headers: MultiMapping[str], name: str) -> set[str]:
    """Read a header that lists tokens, in any case."""
    return {token.strip().lower() for value in headers.getall(name, []) for token in value.split(",")}


def _refuse_header(name: str, wanted: str) -> NoReturn:
    raise ClientError(ErrorCode.INVALID_PARAMETER, f"{name}: {wanted}", fields=(FieldError(name, wanted),))


def _hand_over(
    request: web.Request, session: Session, conversation: ConnectionHandler, headers: Mapping[str, str]
) -> None:
    """Answer 101 and move the transport from aiohttp to a SocketLink; what the client has sent already goes along.

    Leans on aiohttp internals that tests/http/test_handover.py names: `protocol.transport`, `connection_lost`,
    `_message_tail`.
    """
    protocol, transport, parts = request.protocol, request.transport, request.app[PARTS]
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client left during the handshake")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    transport.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\r\n".encode()
    )
    link = SocketLink(transport, session, conversation, parts.frames)
    transport.set_protocol(link)
    early = protocol._message_tail
    # aiohttp lets go of the connection as if it were lost, and must not close the transport doing so.
    protocol.transport = None
    protocol.connection_lost(None)
    conversation.on_open(session, link)
    if early:
        link.data_received(early)
