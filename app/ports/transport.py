"""The ports to clients' sockets."""

from collections.abc import Sequence
from typing import Protocol

from app.core.protocol.close_codes import DisconnectReason

SendHandle = object
"""What a volley writes to: whatever a link gives, and only the volley looks inside."""


class SendMany(Protocol):
    """The same bytes to many sockets at once, past their links: little more than a system call for each."""

    def __call__(self, handles: Sequence[SendHandle | None], frame: bytes) -> list[int]:
        """Write to every handle, in order; give how many bytes each took, 0 where it took none, is gone, or is None."""


class Link(Protocol):
    """One client's socket, as a session sees it. No method waits for the client."""

    @property
    def send_handle(self) -> SendHandle | None:
        """Give what a volley writes to; None while anything waits here that has to go first, or once it is closing."""

    def write(self, frame: bytes) -> bool:
        """Hand bytes to the transport; False when it is closing and they went nowhere."""

    def set_write_limit(self, room_bytes: int) -> None:
        """Let so many bytes wait before `on_wait` is told, and a quarter be left when `on_room` is; 0: tell of any."""

    def buffered_bytes(self) -> int:
        """Give the bytes that the client has not taken yet and the kernel would not either."""

    def close(self, ending: DisconnectReason) -> None:
        """Send a close frame and abort the transport if the client does not answer within a second."""

    def abort(self) -> None:
        """Drop the transport now."""


class Receiver(Protocol):
    """The client's end of the canary's connection."""

    async def receive(self) -> bytes:
        """Wait for the next message and give its payload. Raises OSError once the connection is lost."""
