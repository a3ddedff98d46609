"""The ports for clients' sockets: a link for each connection, a handler of its events, and sends to many sockets at
once.

`Link` and `ConnectionHandler` are generic in the session type, which flows define and ports may not import.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from app.core.protocol.close_codes import DisconnectReason

SessionT = TypeVar("SessionT")

SendHandle = object
"""An opaque handle to one client's socket. `Link.send_handle` returns it, and only `SendMany` uses what is inside."""


class SendMany(Protocol):
    """Sends the same bytes to many sockets directly, bypassing their links: a send costs little more than a system
    call.
    """

    def __call__(self, handles: Sequence[SendHandle | None], frame: bytes) -> list[int]:
        """Write the bytes to every handle, in order, and return how many of them each socket took.

        The number is 0 for None, for a closed socket, and for a socket that cannot take a byte without waiting.
        """


class Link(Protocol[SessionT]):
    """The socket of one client, as its session sees it. No method waits for the client."""

    @property
    def send_handle(self) -> SendHandle | None:
        """Return the handle with which `SendMany` writes to this socket.

        None while bytes wait in the link, because they must be sent first, and once the link is closing.
        """

    def write(self, frame: bytes) -> bool:
        """Pass bytes to the transport. Return False if the transport is closing and the bytes are lost."""

    def set_write_limit(self, high_water_bytes: int) -> None:
        """Set the number of unsent bytes above which the handler's `on_pause` is called.

        `on_resume` is called once at most a quarter of that number is left. With 0, `on_pause` is called for any unsent
        byte, and `on_resume` when all are sent.
        """

    def buffered_bytes(self) -> int:
        """Return how many written bytes the kernel has not taken yet."""

    def switch_handler(self, session: SessionT, handler: "ConnectionHandler[SessionT]") -> None:
        """Pass all further events to another handler, with another session; its `on_open` is called first."""

    def close(self, reason: DisconnectReason) -> None:
        """Send a close frame, and abort the transport if the client does not answer within a second."""

    def abort(self) -> None:
        """Close the socket at once, without a close frame; unsent bytes are lost."""


class ConnectionHandler(Protocol[SessionT]):
    """Handles the events of clients' connections. One handler may serve many sessions; no method may block."""

    def on_open(self, session: SessionT, link: Link[SessionT]) -> None:
        """Start to serve a session on a socket whose upgrade is complete."""

    def on_data(self, size: int) -> None:
        """Count the bytes of one read from a socket, before they are parsed."""

    def on_message(self, session: SessionT, text: str) -> None:
        """Receive a complete text message."""

    def on_ping(self, session: SessionT, payload: bytes) -> None:
        """Receive a ping; the handler has to send the pong."""

    def on_pong(self, session: SessionT) -> None:
        """Receive a pong, which may answer no ping."""

    def on_fragment(self, session: SessionT) -> None:
        """Receive a frame that does not complete its message.

        It is metered like a message, because a message in thousands of fragments costs as much as thousands of
        messages.
        """

    def on_pause(self, session: SessionT) -> None:
        """Learn that more bytes than the write limit wait in the link; later bytes must go through the link, after
        them.
        """

    def on_resume(self, session: SessionT) -> None:
        """Learn that at most a quarter of the write limit still waits in the link."""

    def on_violation(self, session: SessionT, reason: DisconnectReason) -> None:
        """Disconnect a client that broke the WebSocket protocol or one of the server's limits on messages."""

    def on_closed(self, session: SessionT, reason: DisconnectReason) -> None:
        """Release the session of a connection that ended: the client sent a close frame, or the socket is closed.

        May be called more than once for a session.
        """


class Receiver(Protocol):
    """The client's side of the WebSocket connection on which the canary receives its probes."""

    async def receive(self) -> bytes:
        """Wait for the next message and return its payload. Raises OSError once the connection is lost."""
