"""The ports for clients' sockets: a link for each connection, a handler of its events, and sends to many sockets at
once.

`Link` and `ConnectionHandler` are generic in the type of session, because flows define it and ports must not import
flows.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from app.core.protocol.close_codes import DisconnectReason

SessionT = TypeVar("SessionT")

SendHandle = object
"""An opaque handle to one client's socket. `Link.send_handle` returns it, and only `SendMany` uses what is inside."""


class SendMany(Protocol):
    """Sends the same bytes to many sockets directly instead of through their links, so that a send costs little more
    than a system call.
    """

    def __call__(self, handles: Sequence[SendHandle | None], frame: bytes) -> list[int]:
        """Write the bytes to every handle, in order, and return for each handle how many bytes its socket took.

        The number is 0 for None, for a closed socket, and for a socket that cannot take a byte without waiting.
        """


class Link(Protocol[SessionT]):
    """The socket of one client, as its session sees it. No method waits for the client."""

    @property
    def send_handle(self) -> SendHandle | None:
        """Return the handle with which `SendMany` writes to this socket.

        It is None while bytes wait in the link, because those must be sent first. It is also None when the link is
        closing.
        """

    def write(self, frame: bytes) -> bool:
        """Send bytes; those that the kernel does not take at once wait in the link. Return False if the bytes are lost
        because the connection is closing.
        """

    def set_write_limit(self, high_water_bytes: int) -> None:
        """Set the number of unsent bytes above which the handler's `on_pause` is called.

        `on_resume` is called when no more than a quarter of that number is left. With 0, `on_pause` is called for any
        unsent byte, and `on_resume` when all are sent.
        """

    def buffered_bytes(self) -> int:
        """Return how many written bytes the kernel has not taken yet."""

    def switch_handler(self, session: SessionT, handler: "ConnectionHandler[SessionT]") -> None:
        """Pass all further events to another handler, with another session. The new handler's `on_open` is called
        first.
        """

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
        """Receive a pong, which may be unsolicited (RFC 6455 section 5.5.3)."""

    def on_fragment(self, session: SessionT) -> None:
        """Receive a frame that does not complete its message.

        The frame is metered like a message, because a message in thousands of fragments costs as much as thousands of
        messages.
        """

    def on_pause(self, session: SessionT) -> None:
        """Learn that more bytes than the write limit wait in the link. Later bytes must go through the link too, so
        that they are sent after the waiting ones.
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
    """The client's side of the canary's WebSocket connection. The canary is the server's own client, and receives its
    probes (test items) there.
    """

    async def receive(self) -> bytes:
        """Wait for the next message and return its payload. Raises OSError if the connection is lost."""
