"""The base class of connection handlers: it answers pings, disconnects a client that violates the protocol, and ignores
messages and pongs.
"""

from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.session import Session
from app.ports.transport import Link


class BaseHandler:
    """The base class of `MessageDispatcher`, `PendingConnection` and `CanaryHandler`. It implements
    `ConnectionHandler`.
    """

    def on_open(self, session: Session, link: Link[Session]) -> None:
        session.open(link)

    def on_data(self, size: int) -> None:
        """Ignore the number of received bytes; subclasses may count it."""

    def on_message(self, session: Session, text: str) -> None:
        """Ignore the message."""

    def on_ping(self, session: Session, payload: bytes) -> None:
        if self._admits_frame(session) and session.link is not None:
            session.link.write(frames.pong_frame(payload))

    def on_pong(self, session: Session) -> None:
        self._admits_frame(session)

    def on_fragment(self, session: Session) -> None:
        self._admits_frame(session)

    def on_pause(self, session: Session) -> None:
        """Do nothing when more bytes than the write limit wait in the link: a connection whose handler inherits this
        method is sent few frames, and these may wait too.
        """

    def on_resume(self, session: Session) -> None:
        """Do nothing, because `on_pause` stopped nothing."""

    def on_violation(self, session: Session, reason: DisconnectReason) -> None:
        session.end(reason)

    def on_closed(self, session: Session, reason: DisconnectReason) -> None:
        session.closed(reason)

    def _admits_frame(self, session: Session) -> bool:  # noqa: ARG002 - others meter it
        """Return whether a frame may be processed. The base class always returns True. A subclass that limits the rate
        of frames meters the frame first.
        """
        return True
