"""The socket of one connection after the handshake: the port `Link` on an asyncio transport.

aiohttp reads the upgrade request. Then its objects for the connection are dropped, and the small protocol in this
module takes over the transport. So a write is one call on the transport, the server waits for no client, and an idle
connection has no task, no timer and no parser.
"""

import asyncio
from socket import SocketType

from websockets.frames import Opcode

from app.adapters.http.websocket.frame_reader import MessageReader
from app.core.protocol import frames
from app.core.protocol.close_codes import CLOSE_HANDSHAKE_S, DisconnectReason, reason_of_client_code
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.session import Session
from app.ports.transport import ConnectionHandler

Handler = ConnectionHandler[Session]


class SocketLink(asyncio.Protocol):
    """The socket of one client. It passes what it receives to its handler, and fulfills the port `Link`."""

    __slots__ = ("_handler", "_max_message_bytes", "_reader", "_session", "_socket", "_transport")
    reader_type = MessageReader

    def __init__(
        self, transport: asyncio.Transport, session: Session, handler: Handler, max_message_bytes: int
    ) -> None:
        self._transport = transport
        self._socket: SocketType | None = None
        self._session = session
        self._handler = handler
        self._max_message_bytes = max_message_bytes
        self._reader: MessageReader | None = None

    @property
    def send_handle(self) -> SocketType | None:
        if self._transport.is_closing() or self.buffered_bytes():
            return None
        if self._socket is None:
            public = self._transport.get_extra_info("socket")
            self._socket = SocketType(public.family, public.type, public.proto, public.fileno())
        return self._socket

    def set_write_limit(self, high_water_bytes: int) -> None:
        # A transport with an empty buffer passes bytes to the kernel at once, and buffers only what the kernel does not
        # take. So with a limit of 0 it calls pause_writing as soon as one byte stays in the buffer.
        self._transport.set_write_buffer_limits(high=high_water_bytes, low=high_water_bytes // 4)

    def buffered_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def open(self) -> None:
        """Report to the handler that the connection is open (`on_open`). Before this call, `hand_over` must have made
        this link the protocol of the transport.

        If the handler fails, the socket is closed, because a half-open connection would wait for items in vain.
        """
        try:
            self._handler.on_open(self._session, self)
        except BaseException:
            self.abort()
            raise

    def switch_handler(self, session: Session, handler: Handler) -> None:
        self._session, self._handler = session, handler
        self.open()

    def write(self, frame: bytes) -> bool:
        if self._transport.is_closing():
            return False
        self._transport.write(frame)
        # The transport is closing now if the write failed, which is often the first sign that the client has gone.
        return not self._transport.is_closing()

    def close(self, reason: DisconnectReason) -> None:
        self.write(frames.close_frame(reason))
        self._abort_later()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._handler.on_data(len(data))
        is_deflated = self._session.options.deflate_window_bits != UNCOMPRESSED
        reader = self._reader or self.reader_type(self._max_message_bytes, is_deflated=is_deflated)
        reader.is_over = self._session.disconnect_reason is not None
        for opcode, payload in reader.feed(data):
            self._receive(opcode, payload)
            reader.is_over = self._session.disconnect_reason is not None
        if reader.violation is not None and self._session.disconnect_reason is None:
            self._handler.on_violation(self._session, reader.violation)
            if reader.has_close:
                self._transport.close()
        self._reader = None if reader.is_at_rest else reader
        if reader.is_flooded:
            # What the client sends now stays in its own buffers, and costs the server nothing until the abort.
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Tell the handler that more bytes than the write limit wait in the transport. Bytes sent directly to the
        socket would overtake these, so later bytes must go through this link.
        """
        self._handler.on_pause(self._session)

    def resume_writing(self) -> None:
        """Tell the handler that the bytes that wait in the transport are at most a quarter of the write limit."""
        self._handler.on_resume(self._session)

    def eof_received(self) -> bool:
        """Return False, so that asyncio closes the transport: a client that ended its side of the connection is treated
        as gone.
        """
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._socket is not None:
            # The kernel may soon reuse the file descriptor of this socket for another connection. After `detach`, the
            # socket object that `send_handle` returned can no longer write to that descriptor.
            self._socket.detach()
        self._handler.on_closed(self._session, DisconnectReason.NETWORK)

    def _receive(self, opcode: Opcode, payload: str | bytes | int | None) -> None:
        if opcode is Opcode.CLOSE and isinstance(payload, int):
            self._receive_close(payload)
        elif self._session.disconnect_reason is not None:
            return
        elif isinstance(payload, str):
            self._handler.on_message(self._session, payload)
        elif opcode is Opcode.PING and isinstance(payload, bytes):
            self._handler.on_ping(self._session, payload)
        elif opcode is Opcode.PONG:
            self._handler.on_pong(self._session)
        elif opcode is Opcode.CONT:
            self._handler.on_fragment(self._session)
        else:
            self._handler.on_violation(self._session, DisconnectReason.UNSUPPORTED_DATA)

    def _receive_close(self, code: int) -> None:
        if self._session.disconnect_reason is None:
            self.write(frames.close_reply_frame(code))
        self._handler.on_closed(self._session, reason_of_client_code(code))
        # The server closes the TCP connection first (RFC 6455 section 7.1.1). The transport still sends the bytes that
        # it has buffered.
        self._transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Abort the transport in a second: a client that does not read would keep it open."""
        asyncio.get_running_loop().call_later(CLOSE_HANDSHAKE_S, self._transport.abort)
