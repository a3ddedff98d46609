"""Who says after the upgrade who he is. This file owns the time between a 101 without a token and the message `auth`.

Some clients can set neither a header nor a subprotocol. Who speaks v2, and so knows 4502, is let in without a token
where tokens are asked for, and has five seconds. Until then it has no seat, no filter and no place in any count; there
may be only so many of these, what they send is metered as everybody's, and what comes behind `auth` waits until it is
answered.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from app.adapters.http.link import SocketLink
from app.adapters.http.refusals import refusal
from app.core import messages, outbound, wire
from app.core.closing import Ending
from app.core.errors import Code, NewsError, Ours, Theirs
from app.core.identity import Identity
from app.core.limits import Limits
from app.flows.connections import ConnectionManager
from app.flows.converse import Converse
from app.flows.greeting import Greeting, Opening
from app.flows.session import Session
from app.ports import Clock, Link, Verifier
from app.telemetry.labels import Inbound, Invalid, TokenCheck
from app.telemetry.stats import Stats

_AGAIN_S = 5.0
_ENDINGS = {
    Code.UNAUTHORIZED: Ending.UNAUTHENTICATED,
    Code.FORBIDDEN: Ending.UNAUTHENTICATED,
    Code.TOKEN_EXPIRED: Ending.TOKEN_EXPIRED,
    Code.DRAINING: Ending.SHUTDOWN,
    Code.INTERNAL: Ending.INTERNAL_ERROR,
}

_log = structlog.get_logger("anteroom")


class Ticket(NamedTuple):
    """What an upgrade without a token leaves behind: its query, its address, and what it opens for whom."""

    query: Mapping[str, str]
    address: str
    window_bits: int
    opening_for: Callable[[Identity], Opening]


class Anteroom:
    """Those who are in and have not said yet who they are."""

    def __init__(
        self,
        verifier: Verifier | None,
        connections: ConnectionManager,
        greeting: Greeting,
        converse: Converse,
        limits: Limits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self.verifier = verifier
        self.connections = connections
        self.greeting = greeting
        self.converse = converse
        self.limits = limits
        self.clock = clock
        self.stats = stats
        self._guests: set[Guest] = set()

    def let_in(self, ticket: Ticket) -> "Guest":
        """Take a guest. Raises Ours(DRAINING, AT_CAPACITY)."""
        if self.connections.is_draining:
            raise Ours(Code.DRAINING, retry_after_s=_AGAIN_S)
        if len(self._guests) >= self.limits.guests or not self.connections.has_place:
            raise Ours(Code.AT_CAPACITY, retry_after_s=_AGAIN_S)
        guest = Guest(self, ticket)
        self._guests.add(guest)
        return guest

    def forget(self, guest: "Guest") -> None:
        """Keep no place for a guest that was seated, or has gone."""
        self._guests.discard(guest)


class Guest:
    """One connection's conversation until it has said who it is."""

    def __init__(self, room: Anteroom, ticket: Ticket) -> None:
        now = room.clock.monotonic()
        self.session = Session("guest", "", now, room.limits.message_burst)
        self.session.window_bits = ticket.window_bits
        self._room = room
        self._ticket = ticket
        self._answering: asyncio.Task[None] | None = None
        self._too_late: asyncio.TimerHandle | None = None

    def on_open(self, session: Session, link: Link) -> None:
        session.link = link
        self._too_late = asyncio.get_running_loop().call_later(self._room.limits.auth_within_s, self._give_up)

    def on_data(self, size: int) -> None:
        self._room.stats.received_bytes += size

    def on_message(self, session: Session, text: str) -> None:
        if self._is_within_rate():
            session.take_in(text)
            if self._answering is None:
                self._stop_waiting()
                self._answering = asyncio.create_task(self._answer(), name="guest")

    def on_ping(self, session: Session, payload: bytes) -> None:
        if self._is_within_rate() and session.link is not None:
            session.link.write(wire.pong_frame(payload))

    def on_pong(self, session: Session) -> None:  # noqa: ARG002 - every conversation hears it
        self._is_within_rate()

    def on_fragment(self, session: Session) -> None:  # noqa: ARG002 - every conversation hears it
        self._is_within_rate()

    def on_wait(self, session: Session) -> None:
        """Ignore it: a guest is told next to nothing."""

    def on_room(self, session: Session) -> None:
        """Ignore it."""

    def on_misbehaviour(self, session: Session, ending: Ending) -> None:
        self._leave()
        session.end(ending)

    def on_closed(self, session: Session, ending: Ending) -> None:
        self._leave()
        session.ending = session.ending or ending

    def _leave(self) -> None:
        self._room.forget(self)
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()

    def _is_within_rate(self) -> bool:
        """Meter a frame. A guest has one thing to say, so who is too fast goes at once."""
        room, session = self._room, self.session
        left = session.bucket.take(room.clock.monotonic(), room.limits.messages_per_s, room.limits.message_burst)
        if left < 0 and session.ending is None:
            room.stats.message_refused(Invalid.RATE_LIMITED)
            self._leave()
            session.end(Ending.RATE_LIMITED)
        return session.ending is None

    def _give_up(self) -> None:
        self._room.stats.token_checks[TokenCheck.MISSING] += 1
        self._refuse(Theirs(Code.UNAUTHORIZED, f"No auth within {self._room.limits.auth_within_s:g} seconds"), None)

    async def _answer(self) -> None:
        request_id = None
        try:
            message = messages.decode(self.session.take_out())
            request_id = message.id
            await self._enter(await self._identify(message), request_id)
        except messages.Refused as refused:
            self._refuse(refused.error, refused.request_id, Ending.UNAUTHENTICATED)
        except NewsError as error:
            self._refuse(error, request_id)
        # The edge between a client and us: whatever goes wrong inside ends this connection and no other.
        except Exception:  # noqa: BLE001
            _log.exception("guest_failed")
            self._refuse(Ours(Code.INTERNAL), request_id)

    async def _identify(self, message: messages.Message) -> Identity:
        """Raises Theirs(UNAUTHORIZED, TOKEN_EXPIRED) and Ours."""
        if not isinstance(message, messages.Auth) or self._room.verifier is None:
            self._room.stats.token_checks[TokenCheck.MISSING] += 1
            raise Theirs(Code.UNAUTHORIZED, "Say first who you are: auth with a token")
        self._room.stats.inbound[Inbound.AUTH] += 1
        return await self._room.verifier.verify(message.token)

    async def _enter(self, identity: Identity, request_id: str | int | None) -> None:
        """Seat the guest and let it say the rest to whom it would have spoken from the start. Raises NewsError."""
        room, opening = self._room, self._ticket.opening_for(identity)
        session = room.connections.seat(opening.user_id, opening.device_id, self._ticket.address)
        session.bucket = self.session.bucket
        try:
            await room.greeting.prepare(session, opening)
            link = self.session.link
            if self.session.ending is None and isinstance(link, SocketLink):
                self._leave()
                link.become(session, room.converse)
        finally:
            if session.link is None:
                room.connections.leave(session, Ending.NETWORK)
        if session.link is None:
            return
        if request_id is not None and session.expires_at is not None:
            room.connections.say(session, outbound.Refreshed(session.expires_at, request_id))
        for text in self.session.inbox:
            room.converse.on_message(session, text)

    def _refuse(self, error: NewsError, request_id: str | int | None, ending: Ending | None = None) -> None:
        """Say what is wrong and end; 4029 where coming again is all that it takes."""
        room, session = self._room, self.session
        if session.ending is not None or session.link is None:
            return
        room.stats.refused[refusal(error, self._ticket.query)] += 1
        self._leave()
        session.link.write(wire.message_frame(outbound.error(error, room.clock.wall(), request_id)))
        by_code = Ending.RATE_LIMITED if error.verdict.is_retryable else Ending.UNAUTHENTICATED
        session.end(ending or _ENDINGS.get(error.code, by_code))
