"""An upgraded transport as a session's Link. This file owns the socket of one connection after the handshake.

aiohttp reads the upgrade request; then its objects are let go and this slim protocol takes the transport. So a write is
one call on the transport, nothing waits for a client, and an idle connection holds no task, no timer and no parser.
"""

import asyncio
from socket import SocketType
from typing import Protocol

from aiohttp import WSMsgType
from aiohttp._websocket.models import WebSocketError

from app.adapters.http.frames import Frames, Reading
from app.core import wire
from app.core.closing import CLOSE_HANDSHAKE_S, CLOSES, Ending, may_be_sent, of_client_code
from app.core.deflate import UNCOMPRESSED
from app.flows.session import Session
from app.ports import Link

_BY_CODE = {close.code: ending for ending, close in CLOSES.items()}


class Conversation(Protocol):
    """Who is told what a client does."""

    def on_open(self, session: Session, link: Link) -> None: ...
    def on_data(self, size: int) -> None: ...
    def on_message(self, session: Session, text: str) -> None: ...
    def on_ping(self, session: Session, payload: bytes) -> None: ...
    def on_pong(self, session: Session) -> None: ...
    def on_fragment(self, session: Session) -> None: ...
    def on_wait(self, session: Session) -> None: ...
    def on_room(self, session: Session) -> None: ...
    def on_misbehaviour(self, session: Session, ending: Ending) -> None: ...
    def on_closed(self, session: Session, ending: Ending) -> None: ...


class SocketLink(asyncio.Protocol):
    """One client's socket."""

    __slots__ = ("_conversation", "_frames", "_reading", "_session", "_socket", "_transport")

    def __init__(
        self, transport: asyncio.Transport, session: Session, conversation: Conversation, frames: Frames
    ) -> None:
        self._transport = transport
        self._socket: SocketType | None = None
        self._session = session
        self._conversation = conversation
        self._frames = frames
        self._reading: Reading | None = None

    @property
    def handle(self) -> SocketType | None:
        if self._transport.is_closing() or self.buffered():
            return None
        if self._socket is None:
            theirs = self._transport.get_extra_info("socket")
            self._socket = SocketType(theirs.family, theirs.type, theirs.proto, theirs.fileno())
        return self._socket

    def gather(self, room_bytes: int) -> None:
        # A transport writes at once while nothing waits in it; with no room at all it says of every byte that has to.
        self._transport.set_write_buffer_limits(high=room_bytes, low=room_bytes // 4)

    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    def become(self, session: Session, conversation: Conversation) -> None:
        """Serve another session from here on, which opens with this."""
        self._session, self._conversation = session, conversation
        conversation.on_open(session, self)

    def write(self, frame: bytes) -> bool:
        if self._transport.is_closing():
            return False
        self._transport.write(frame)
        # A client that has gone is often noticed only now.
        return not self._transport.is_closing()

    def close(self, ending: Ending) -> None:
        self.write(wire.close_frame(ending))
        self._abort_later()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._conversation.on_data(len(data))
        reading = self._reading or self._frames.begin(is_deflated=self._session.window_bits != UNCOMPRESSED)
        reading.is_over = self._session.ending is not None
        for kind, payload in reading.feed(data):
            self._take(kind, payload)
            reading.is_over = self._session.ending is not None
        if reading.is_unmasked:
            self._conversation.on_misbehaviour(self._session, Ending.PROTOCOL_ERROR)
        elif reading.error is not None and self._session.ending is None:
            self._conversation.on_misbehaviour(self._session, _ending_of(reading.error))
            if reading.is_closed:
                # Both have said it: nothing more will come, and the server goes first (RFC 6455 section 7.1.1).
                self._transport.close()
        self._reading = None if reading.is_at_rest and reading.error is None else reading

    def pause_writing(self) -> None:
        """Say that the kernel would not take all: what follows has to wait behind it."""
        self._conversation.on_wait(self._session)

    def resume_writing(self) -> None:
        """Say that the client has taken what waited."""
        self._conversation.on_room(self._session)

    def eof_received(self) -> bool:
        """Close our side too: a client that can no longer speak is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        if self._socket is not None:
            # The descriptor is about to be anybody's; whoever still has this handle writes to nobody.
            self._socket.detach()
        self._conversation.on_closed(self._session, Ending.NETWORK)

    def _take(self, kind: WSMsgType, payload: object) -> None:
        if kind is WSMsgType.CLOSE and isinstance(payload, int):
            self._take_close(payload)
        elif self._session.ending is not None:
            return
        elif isinstance(payload, str):
            self._conversation.on_message(self._session, payload)
        elif kind is WSMsgType.PING and isinstance(payload, bytes | bytearray):
            self._conversation.on_ping(self._session, bytes(payload))
        elif kind is WSMsgType.PONG:
            self._conversation.on_pong(self._session)
        elif kind is WSMsgType.CONTINUATION:
            self._conversation.on_fragment(self._session)
        else:
            self._conversation.on_misbehaviour(self._session, Ending.UNSUPPORTED_DATA)

    def _take_close(self, code: int) -> None:
        if code and not may_be_sent(code):
            self._conversation.on_misbehaviour(self._session, Ending.PROTOCOL_ERROR)
            self._transport.close()
            return
        if self._session.ending is None:
            self.write(wire.close_reply_frame(code))
        self._conversation.on_closed(self._session, of_client_code(code))
        # The server closes the TCP connection first (RFC 6455 section 7.1.1); what is still buffered goes out before.
        self._transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Drop the transport in a second: a client that does not read would keep it for ever."""
        asyncio.get_running_loop().call_later(CLOSE_HANDSHAKE_S, self._transport.abort)


def _ending_of(error: BaseException) -> Ending:
    code = error.code if isinstance(error, WebSocketError) else CLOSES[Ending.PROTOCOL_ERROR].code
    return _BY_CODE.get(int(code), Ending.PROTOCOL_ERROR)
