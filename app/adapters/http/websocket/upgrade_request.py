"""An upgrade request, parsed once: its handshake headers, token, subprotocol, compression and client
address.
"""

import base64
import binascii
import hashlib
from typing import NamedTuple, NoReturn

from aiohttp import HttpVersion11, hdrs, web
from multidict import MultiMapping

from app.adapters.http.request.client_ip import ClientAddress, client_address_of
from app.adapters.http.request.tokens import offered_subprotocols, read_token
from app.adapters.http.response.problems import VERSION_HEADER, WEBSOCKET_VERSION
from app.config import Settings
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.protocol.deflate import UNCOMPRESSED, NegotiatedDeflate, negotiate
from app.flows.delivery.peer import Peer, peer

SUBPROTOCOL = "news.v2.json"

# The GUID that is hashed with the client's key to make Sec-WebSocket-Accept (RFC 6455 section 1.3).
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16
_MAX_AGENT_LENGTH = 200


class UpgradeRequest(NamedTuple):
    """The contents of a valid upgrade request. `accept` is the value of Sec-WebSocket-Accept for the response.

    `client` has the keys under which the connection is counted. `agent` is the header User-Agent, cut to
    `_MAX_AGENT_LENGTH` characters. `token` is not verified yet; it is None if the request has none.
    `speaks_subprotocol` tells whether the client offers the subprotocol of v2. `deflate` is None for a connection
    without compression.
    """

    accept: str
    query: MultiMapping[str]
    client: ClientAddress
    agent: str
    token: str | None
    speaks_subprotocol: bool
    deflate: NegotiatedDeflate | None

    @property
    def is_v2(self) -> bool:
        return self.speaks_subprotocol or self.query.get("v") == "2"

    @property
    def deflate_window_bits(self) -> int:
        return self.deflate.window_bits if self.deflate is not None else UNCOMPRESSED

    @property
    def peer(self) -> Peer:
        return peer(self.client.open_key, self.client.address, self.agent)

    def response_headers(self) -> dict[str, str]:
        """Return the headers of the 101 response, except Upgrade and Connection."""
        headers = {"Sec-WebSocket-Accept": self.accept}
        if self.speaks_subprotocol:
            headers["Sec-WebSocket-Protocol"] = SUBPROTOCOL
        if self.deflate is not None:
            headers["Sec-WebSocket-Extensions"] = self.deflate.response_header
        return headers


def parse_upgrade(request: web.Request, settings: Settings) -> UpgradeRequest:
    """Parse an upgrade request. Raises ClientError(UPGRADE_REQUIRED, INVALID_PARAMETER)."""
    headers = request.headers
    return UpgradeRequest(
        accept=_check_handshake(request),
        query=request.query,
        client=client_address_of(request, settings),
        agent=headers.get(hdrs.USER_AGENT, "")[:_MAX_AGENT_LENGTH],
        token=read_token(request, in_query=settings.token_in_query),
        # Subprotocols are case-sensitive (RFC 6455 section 11.3.4).
        speaks_subprotocol=SUBPROTOCOL in offered_subprotocols(headers),
        deflate=negotiate(headers.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS, [])),
    )


def _check_handshake(request: web.Request) -> str:
    """Check the opening handshake (RFC 6455 section 4.2.1) and return the value of Sec-WebSocket-Accept.

    Raises ClientError(UPGRADE_REQUIRED, INVALID_PARAMETER).
    """
    headers = request.headers
    if "websocket" not in _tokens(headers, "Upgrade") or "upgrade" not in _tokens(headers, "Connection"):
        detail = "This address speaks WebSocket: connect with a WebSocket client"
        raise ClientError(ErrorCode.UPGRADE_REQUIRED, detail)
    if request.version != HttpVersion11:
        raise ClientError(ErrorCode.UPGRADE_REQUIRED, "A WebSocket upgrade needs HTTP/1.1")
    if headers.get(VERSION_HEADER) != WEBSOCKET_VERSION:
        _refuse_header(VERSION_HEADER, f"must be {WEBSOCKET_VERSION}")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        is_valid = len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        is_valid = False
    if not is_valid:
        _refuse_header("Sec-WebSocket-Key", f"must be {_KEY_BYTES} bytes in base64")
    return base64.b64encode(hashlib.sha1(key.encode() + _KEY_SUFFIX, usedforsecurity=False).digest()).decode()


def _tokens(headers: MultiMapping[str], name: str) -> set[str]:
    """Return the comma-separated words of a header, in lower case."""
    return {token.strip().lower() for value in headers.getall(name, []) for token in value.split(",")}


def _refuse_header(name: str, detail: str) -> NoReturn:
    raise ClientError(ErrorCode.INVALID_PARAMETER, f"{name} {detail}", fields=(FieldError(name, detail),))
