"""One inbound message, one action. This file owns what each message leads to and how it is answered."""

from collections.abc import Sequence

from app.core import messages, outbound
from app.core.errors import Code, FieldError, Theirs
from app.flows.acks import Acks
from app.flows.channels import Channels
from app.flows.connections import ConnectionManager
from app.flows.explain import Explain, explanation_message
from app.flows.session import Session
from app.ports import Clock, Verifier
from app.telemetry.labels import Inbound
from app.telemetry.stats import Stats

_WORDS = {
    messages.Ping: Inbound.PING,
    messages.Subscribe: Inbound.SUBSCRIBE,
    messages.Unsubscribe: Inbound.UNSUBSCRIBE,
    messages.List: Inbound.LIST,
    messages.Ack: Inbound.ACK,
    messages.Explain: Inbound.EXPLAIN,
    messages.Refresh: Inbound.REFRESH,
    messages.Auth: Inbound.AUTH,
}


class Commands:
    """Does what clients ask for. An action is answered where its message has an id, or asks for something."""

    def __init__(
        self,
        connections: ConnectionManager,
        channels: Channels,
        acks: Acks,
        explain: Explain,
        verifier: Verifier | None,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._connections = connections
        self._channels = channels
        self._acks = acks
        self._explain = explain
        self._verifier = verifier
        self._clock = clock
        self._stats = stats

    def end(self, session: Session) -> None:
        """Forget what a connection that is gone had under way."""
        self._acks.end(session)

    async def do(self, session: Session, message: messages.Message) -> None:
        """Do what a message asks for. Raises NewsError, to be told to the client."""
        self._stats.inbound[_WORDS[type(message)]] += 1
        match message:
            case messages.Ping(id=request_id, t=t):
                pong = outbound.Pong(self._clock.wall(), self._connections.position, t, request_id)
                self._connections.say(session, pong)
            case messages.Subscribe():
                await self._subscribe(session, message)
            case messages.Unsubscribe():
                await self._unsubscribe(session, message)
            case messages.List(id=request_id):
                states = self._channels.states(session)
                self._connections.say(session, outbound.Subscriptions(states, request_id))
            case messages.Ack():
                self._ack(session, message)
            case messages.Explain():
                explanation = await self._explain.to_session(message.item, session)
                self._connections.say(session, explanation_message(explanation, message.id))
            case messages.Refresh() | messages.Auth():
                await self._refresh(session, message)

    async def _subscribe(self, session: Session, message: messages.Subscribe) -> None:
        wants, seq = await self._channels.subscribe(session, message)
        if message.id is not None:
            noticed: Sequence[FieldError] = message.checked.warnings if message.checked is not None else ()
            warnings = tuple(outbound.Pointed(*one) for one in noticed)
            answer = outbound.Subscribed(message.id, message.channel, wants, seq, warnings)
            self._connections.say(session, answer)

    async def _unsubscribe(self, session: Session, message: messages.Unsubscribe) -> None:
        await self._channels.unsubscribe(session, message)
        if message.id is not None:
            self._connections.say(session, outbound.Unsubscribed(message.id, message.channel))

    def _ack(self, session: Session, message: messages.Ack) -> None:
        acked = self._acks.take(session, message.seq)
        if message.id is not None:
            self._connections.say(session, outbound.Acked(message.id, acked))

    async def _refresh(self, session: Session, message: messages.Refresh | messages.Auth) -> None:
        if self._verifier is None:
            raise Theirs(Code.INVALID_MESSAGE, "This server asks for no tokens")
        identity = await self._verifier.verify(message.token)
        if identity.user_id != session.user_id or identity.expires_at is None:
            raise Theirs(Code.FORBIDDEN, "The token is another user's")
        self._channels.entitle(session, identity.entitled)
        session.expires_at, session.is_expiry_told = identity.expires_at, False
        self._connections.say(session, outbound.Refreshed(identity.expires_at, message.id))
