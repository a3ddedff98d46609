"""An upgraded transport as a session's Link. This file owns the socket of one connection after the handshake.

aiohttp reads the upgrade request; then its objects are let go and this slim protocol takes the transport. So a write is
one call on the transport, nothing waits for a client, and an idle connection holds no task, no timer and no parser.
"""

import asyncio
from socket import SocketType
from typing import Protocol

from aiohttp import WSMsgType
from aiohttp._websocket.models import WebSocketError

from app.adapters.http.websocket.frame_reader import FrameReader, MessageReader
from app.core.protocol import frames
from app.core.protocol.close_codes import (
    CLOSE_CODES,
    CLOSE_HANDSHAKE_S,
    DisconnectReason,
    is_valid_close_code,
    reason_of_client_code,
)
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Session
from app.ports.transport import Link

_BY_CODE = {close.code: ending for ending, close in CLOSE_CODES.items()}


class ConnectionHandler(Protocol):
    """Who is told what a client does."""

    def on_open(self, session: Session, link: Link) -> None: ...
    def on_data(self, size: int) -> None: ...
    def on_message(self, session: Session, text: str) -> None: ...
    def on_ping(self, session: Session, payload: bytes) -> None: ...
    def on_pong(self, session: Session) -> None: ...
    def on_fragment(self, session: Session) -> None: ...
    def on_pause(self, session: Session) -> None: ...
    def on_resume(self, session: Session) -> None: ...
    def on_violation(self, session: Session, ending: DisconnectReason) -> None: ...
    def on_closed(self, session: Session, ending: DisconnectReason) -> None: ...


class SocketLink(asyncio.Protocol):
    """One client's socket."""

    __slots__ = ("_frames", "_handler", "_reader", "_session", "_socket", "_transport")

    def __init__(
        self, transport: asyncio.Transport, session: Session, conversation: ConnectionHandler, frames: FrameReader
    ) -> None:
        self._transport = transport
        self._socket: SocketType | None = None
        self._session = session
        self._handler = conversation
        self._frames = frames
        self._reader: MessageReader | None = None

    @property
    def send_handle(self) -> SocketType | None:
        if self._transport.is_closing() or self.buffered_bytes():
            return None
        if self._socket is None:
            theirs = self._transport.get_extra_info("socket")
            self._socket = SocketType(theirs.family, theirs.type, theirs.proto, theirs.fileno())
        return self._socket

    def set_write_limit(self, room_bytes: int) -> None:
        # A transport writes at once while nothing waits in it; with no room at all it says of every byte that has to.
        self._transport.set_write_buffer_limits(high=room_bytes, low=room_bytes // 4)

    def buffered_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def switch_handler(self, session: Session, conversation: ConnectionHandler) -> None:
        """Serve another session from here on, which opens with this."""
        self._session, self._handler = session, conversation
        conversation.on_open(session, self)

    def write(self, frame: bytes) -> bool:
        if self._transport.is_closing():
            return False
        self._transport.write(frame)
        # A client that has gone is often noticed only now.
        return not self._transport.is_closing()

    def close(self, ending: DisconnectReason) -> None:
        self.write(frames.close_frame(ending))
        self._abort_later()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._handler.on_data(len(data))
        reading = self._reader or self._frames.begin(is_deflated=self._session.window_bits != UNCOMPRESSED)
        reading.is_over = self._session.ending is not None
        for kind, payload in reading.feed(data):
            self._take(kind, payload)
            reading.is_over = self._session.ending is not None
        if reading.is_unmasked:
            self._handler.on_violation(self._session, DisconnectReason.PROTOCOL_ERROR)
        elif reading.error is not None and self._session.ending is None:
            self._handler.on_violation(self._session, _ending_of(reading.error))
            if reading.is_closed:
                # Both have said it: nothing more will come, and the server goes first (RFC 6455 section 7.1.1).
                self._transport.close()
        self._reader = None if reading.is_at_rest and reading.error is None else reading

    def pause_writing(self) -> None:
        """Say that the kernel would not take all: what follows has to wait behind it."""
        self._handler.on_pause(self._session)

    def resume_writing(self) -> None:
        """Say that the client has taken what waited."""
        self._handler.on_resume(self._session)

    def eof_received(self) -> bool:
        """Close our side too: a client that can no longer speak is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        if self._socket is not None:
            # The descriptor is about to be anybody's; whoever still has this handle writes to nobody.
            self._socket.detach()
        self._handler.on_closed(self._session, DisconnectReason.NETWORK)

    def _take(self, kind: WSMsgType, payload: object) -> None:
        if kind is WSMsgType.CLOSE and isinstance(payload, int):
            self._take_close(payload)
        elif self._session.ending is not None:
            return
        elif isinstance(payload, str):
            self._handler.on_message(self._session, payload)
        elif kind is WSMsgType.PING and isinstance(payload, bytes | bytearray):
            self._handler.on_ping(self._session, bytes(payload))
        elif kind is WSMsgType.PONG:
            self._handler.on_pong(self._session)
        elif kind is WSMsgType.CONTINUATION:
            self._handler.on_fragment(self._session)
        else:
            self._handler.on_violation(self._session, DisconnectReason.UNSUPPORTED_DATA)

    def _take_close(self, code: int) -> None:
        if code and not is_valid_close_code(code):
            self._handler.on_violation(self._session, DisconnectReason.PROTOCOL_ERROR)
            self._transport.close()
            return
        if self._session.ending is None:
            self.write(frames.close_reply_frame(code))
        self._handler.on_closed(self._session, reason_of_client_code(code))
        # The server closes the TCP connection first (RFC 6455 section 7.1.1); what is still buffered goes out before.
        self._transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Drop the transport in a second: a client that does not read would keep it for ever."""
        asyncio.get_running_loop().call_later(CLOSE_HANDSHAKE_S, self._transport.abort)


def _ending_of(error: BaseException) -> DisconnectReason:
    code = error.code if isinstance(error, WebSocketError) else CLOSE_CODES[DisconnectReason.PROTOCOL_ERROR].code
    return _BY_CODE.get(int(code), DisconnectReason.PROTOCOL_ERROR)
