"""One HTTP connection: how long it is kept open between requests, and the time limits for the head of a request (the
request line and the headers) and for reading an answer.

A head fits into one or two packets, so a normal client completes it soon after its first byte. A client that takes
longer is most likely a slowloris attack, which holds connections open with unfinished heads.

Parsing costs time for each line and each chunk, not for each byte. A body in chunks of one byte takes half a second. So
what was read at once and has many line ends is parsed in pieces, and the event loop runs in between.
"""

import asyncio

from aiohttp import web

from app.adapters.http.aiohttp_internals import is_waiting_for_request, pause_transport, resume_transport
from app.adapters.http.application import AccessLog
from app.adapters.http.http_connections import HttpConnections
from app.adapters.http.request.client_ip import key_of
from app.adapters.http.request.proxy_protocol import parse_proxy_header
from app.adapters.http.response.problems import problem_before_routing
from app.core.limits import RequestLimits
from app.telemetry.stats import Stats

_KEEPALIVE_S = 10.0
# For how many seconds the server reads and discards the rest of a request's body after it has sent the response. Some
# clients read the response only after they have sent the whole body.
_LINGERING_S = 0.5
_PIECE_BYTES = 4 * 1024
# What was read is parsed in pieces if its lines are shorter than this on average.
_SHORT_LINE_BYTES = 32


class ServerProtocol(web.RequestHandler):
    """aiohttp's protocol for one HTTP connection, with three limits. It aborts the connection at once if its address
    has too many. It closes the connection if the head of a request is still incomplete `head_timeout_s` seconds after
    its first byte. It aborts the connection if the client leaves too many bytes of an answer unread for
    `answer_timeout_s` seconds.

    `proxied_address` is the client's address that a header of the PROXY protocol named, "" if none did.
    """

    __slots__ = (
        *("_address_key", "_answer_timeout", "_awaited_header", "_connections", "_head_timeout", "_limits", "_stats"),
        *("_unparsed", "proxied_address"),
    )

    def __init__(
        self,
        server: web.Server,
        connections: HttpConnections,
        limits: RequestLimits,
        stats: Stats,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=_LINGERING_S,
            access_log_class=AccessLog,
        )
        self._connections = connections
        self._unparsed = bytearray()
        # What has arrived of an expected header of the PROXY protocol; None if none is expected.
        self._awaited_header: bytes | None = None
        self.proxied_address = ""
        self._address_key: str | None = ""
        self._limits = limits
        self._stats = stats
        self._head_timeout: asyncio.TimerHandle | None = None
        self._answer_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = self._peer(transport)
        self._awaited_header = b"" if self._connections.expects_proxy_header(peer) else None
        self._admit(peer)

    def _peer(self, transport: asyncio.BaseTransport | None) -> str:
        name = transport.get_extra_info("peername") if transport is not None else None
        return str(name[0]) if name else ""

    def _admit(self, address: str) -> None:
        """Count the connection for an address, and abort it if the address has too many."""
        self._address_key = self._connections.admit(address)
        if self._address_key is None and self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._awaited_header is not None:
            self._read_proxy_header(data)
        else:
            self._read(data)

    def _read_proxy_header(self, data: bytes) -> None:
        """Read the header of the PROXY protocol, which precedes everything else. A connection without a valid header is
        aborted, unless it comes from this machine: the canary and probes have none. The header has the same time limit
        as the head of a request.
        """
        received = (self._awaited_header or b"") + data
        try:
            header = parse_proxy_header(received)
        except ValueError:
            if not key_of(self._peer(self.transport), counts_loopback=False):
                self._awaited_header = None
                self._read(received)
                return
            self._stats.server.record_bad_proxy_header()
            if self.transport is not None:
                self.transport.abort()
            return
        if header is None:
            self._awaited_header = received
            self._start_head_timeout()
            return
        self._awaited_header, self.proxied_address = None, header.address
        if header.address:
            self._connections.release(self._address_key or "")
            self._admit(header.address)
        is_refused = self._address_key is None
        if len(received) > header.size and not is_refused:
            self._read(received[header.size :])

    def _read(self, data: bytes) -> None:
        if not data:
            # aiohttp's parser goes on with what it has held back.
            self._parse(data)
        elif self._unparsed:
            self._unparsed += data
            pause_transport(self)
        elif len(data) > _PIECE_BYTES and data.count(b"\r\n") * _SHORT_LINE_BYTES > len(data):
            self._unparsed += data
            pause_transport(self)
            self._parse_piece()
        else:
            self._parse(data)

    def _parse_piece(self) -> None:
        """Parse the next piece of what was read, and the others when the event loop has run. Then read on."""
        piece = bytes(self._unparsed[:_PIECE_BYTES])
        del self._unparsed[:_PIECE_BYTES]
        if self.transport is None or not piece:
            return
        self._parse(piece)
        if self._unparsed:
            asyncio.get_running_loop().call_soon(self._parse_piece)
        else:
            resume_transport(self)

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp wants more, but not before what was read is parsed.
        super().resume_reading(resume_parser)
        if self._unparsed:
            pause_transport(self)

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if not is_waiting_for_request(self):
            self._stop_timeout()
        else:
            self._start_head_timeout()

    def pause_writing(self) -> None:
        super().pause_writing()
        loop = asyncio.get_running_loop()
        self._answer_timeout = loop.call_later(self._limits.answer_timeout_s, self._abort_unread)

    def resume_writing(self) -> None:
        self._stop_answer_timeout()
        super().resume_writing()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        # aiohttp logs the error, and raises ConnectionError if a part of a response was sent already.
        super().handle_error(request, status, exc, message)
        return problem_before_routing(exc, status)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timeout()
        self._stop_answer_timeout()
        # Also called when the connection has become a WebSocket.
        self._unparsed.clear()
        self._connections.release(self._address_key or "")
        self._address_key = ""
        super().connection_lost(exc)

    def _start_head_timeout(self) -> None:
        if self._head_timeout is None:
            self._head_timeout = asyncio.get_running_loop().call_later(self._limits.head_timeout_s, self._time_out)

    def _stop_timeout(self) -> None:
        if self._head_timeout is not None:
            self._head_timeout.cancel()
            self._head_timeout = None

    def _time_out(self) -> None:
        self._head_timeout = None
        self._stats.server.record_slow_request()
        self.force_close()

    def _stop_answer_timeout(self) -> None:
        if self._answer_timeout is not None:
            self._answer_timeout.cancel()
            self._answer_timeout = None

    def _abort_unread(self) -> None:
        self._answer_timeout = None
        self._stats.server.record_slow_reader()
        if self.transport is not None:
            self.transport.abort()
