"""The ports to clients' sockets: a link for each connection, a handler for what clients do, and sends to many at once.

Both `Link` and `ConnectionHandler` are generic in the session type, which flows define.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from app.core.protocol.close_codes import DisconnectReason

SessionT = TypeVar("SessionT")

SendHandle = object
"""What `SendMany` writes to. A link provides it, and only `SendMany` looks inside."""


class SendMany(Protocol):
    """Sends the same bytes to many sockets, past their links: little more than a system call for each."""

    def __call__(self, handles: Sequence[SendHandle | None], frame: bytes) -> list[int]:
        """Write to every handle, in order. Return how many bytes each took: 0 if none, if it is closed, or for None."""


class Link(Protocol[SessionT]):
    """The socket of one client, as its session sees it. No method waits for the client."""

    @property
    def send_handle(self) -> SendHandle | None:
        """Return what `SendMany` writes to; None while bytes wait in the link, which must go first, or
        once it closes.
        """

    def write(self, frame: bytes) -> bool:
        """Hand bytes to the transport. Return False if it is closing and they were dropped."""

    def set_write_limit(self, high_water_bytes: int) -> None:
        """Call the handler's `on_pause` above this many unsent bytes, and `on_resume` at a quarter of them.

        With 0 every unsent byte is reported.
        """

    def buffered_bytes(self) -> int:
        """Return how many bytes neither the client nor the kernel has taken yet."""

    def switch_handler(self, session: SessionT, handler: "ConnectionHandler[SessionT]") -> None:
        """Serve another session through another handler from now on, and call its `on_open`."""

    def close(self, reason: DisconnectReason) -> None:
        """Send a close frame, and abort the transport if the client does not answer within a second."""

    def abort(self) -> None:
        """Drop the transport now."""


class ConnectionHandler(Protocol[SessionT]):
    """What happens when a client does something. One handler serves many sessions; no method blocks."""

    def on_open(self, session: SessionT, link: Link[SessionT]) -> None:
        """Take over a socket whose upgrade is complete."""

    def on_data(self, size: int) -> None:
        """Count received bytes."""

    def on_message(self, session: SessionT, text: str) -> None:
        """Receive a complete text message."""

    def on_ping(self, session: SessionT, payload: bytes) -> None:
        """Receive a ping."""

    def on_pong(self, session: SessionT) -> None:
        """Receive a pong."""

    def on_fragment(self, session: SessionT) -> None:
        """Receive a frame whose message continues: a message in thousands of fragments costs as much as thousands."""

    def on_pause(self, session: SessionT) -> None:
        """Learn that bytes wait in the link, so that what follows has to wait behind them."""

    def on_resume(self, session: SessionT) -> None:
        """Learn that the client took most of what waited."""

    def on_violation(self, session: SessionT, reason: DisconnectReason) -> None:
        """End a connection whose client broke the WebSocket protocol or its limits."""

    def on_closed(self, session: SessionT, reason: DisconnectReason) -> None:
        """Release a connection that is gone. May be called more than once."""


class Receiver(Protocol):
    """The client's side of the canary's connection."""

    async def receive(self) -> bytes:
        """Wait for the next message and return its payload. Raises OSError once the connection is lost."""
