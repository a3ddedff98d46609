"""The server's end of the canary's connection. This file owns what is said on it: frames of probes, and pongs."""

from app.core.limits import Limits
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.transport import Link


class CanaryHandler:
    """A conversation without a seat, a slot or a count; the newest connection is the one that probes are written to."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._link: Link | None = None

    def new_session(self) -> Session:
        return Session("canary", "canary", self._clock.monotonic(), self._limits.message_burst)

    def send(self, frame: bytes) -> None:
        """Write a frame to the canary; without a connection it is lost."""
        if self._link is not None:
            self._link.write(frame)

    def on_open(self, session: Session, link: Link) -> None:
        session.link = self._link = link

    def on_closed(self, session: Session, ending: DisconnectReason) -> None:
        session.ending = ending
        # The next one may be open before this one is known to be lost.
        if session.link is self._link:
            self._link = None

    def on_ping(self, session: Session, payload: bytes) -> None:
        if session.link is not None:
            session.link.write(frames.pong_frame(payload))

    def on_violation(self, session: Session, ending: DisconnectReason) -> None:
        session.end(ending)

    def on_data(self, size: int) -> None:
        """Count nothing: these are no client's bytes."""

    def on_message(self, session: Session, text: str) -> None:
        """Ignore it: the canary only listens."""

    def on_pong(self, session: Session) -> None:
        """Ignore it: the probes show whether the connection lives."""

    def on_fragment(self, session: Session) -> None:
        """Ignore it: the canary says nothing."""

    def on_pause(self, session: Session) -> None:
        """Ignore it: probes are few and small."""

    def on_resume(self, session: Session) -> None:
        """Ignore it: probes are few and small."""
