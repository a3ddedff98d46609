"""The server's side of the canary's connection, which is not admitted, has no slot and is not counted
as a connection.
"""

from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.handler import BaseHandler
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.transport import Link


class CanaryHandler(BaseHandler):
    """The connection handler of the canary: it writes probes to the canary's newest connection and ignores messages
    from it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._link: Link[Session] | None = None

    def new_session(self) -> Session:
        return Session("canary", "canary", self._clock.monotonic())

    def send(self, frame: bytes) -> None:
        """Write a frame to the canary. Without a connection the frame is lost."""
        if self._link is not None:
            self._link.write(frame)

    def on_open(self, session: Session, link: Link[Session]) -> None:
        session.open(link)
        self._link = link

    def on_closed(self, session: Session, reason: DisconnectReason) -> None:
        session.closed(reason)
        # The canary may have connected again before the loss of this connection was noticed. `_link` then belongs to
        # the new connection and must stay.
        if session.link is self._link:
            self._link = None
