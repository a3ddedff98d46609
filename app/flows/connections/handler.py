"""What every handler of a connection does unless it says otherwise: answer pings, end on a violation,
ignore the rest.
"""

from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.session import Session
from app.ports.transport import Link


class BaseHandler:
    """The base of the dispatcher, of pending connections and of the canary. Fulfills `ConnectionHandler`."""

    def on_open(self, session: Session, link: Link[Session]) -> None:
        session.open(link)

    def on_data(self, size: int) -> None:
        """Count nothing."""

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
        """Do nothing: little is sent."""

    def on_resume(self, session: Session) -> None:
        """Do nothing: little is sent."""

    def on_violation(self, session: Session, reason: DisconnectReason) -> None:
        session.end(reason)

    def on_closed(self, session: Session, reason: DisconnectReason) -> None:
        session.closed(reason)

    def _admits_frame(self, session: Session) -> bool:  # noqa: ARG002 - others meter it
        """Meter a frame; return whether it may be answered."""
        return True
