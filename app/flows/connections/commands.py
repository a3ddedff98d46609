"""One inbound message, one action. This file owns what each message leads to and how it is answered."""

from collections.abc import Sequence

from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.protocol import client_messages, server_messages
from app.flows.connections.channels import Channels
from app.flows.connections.explain import Explainer, explanation_message
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.acks import Acks
from app.flows.delivery.session import Session
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.telemetry.labels import Inbound
from app.telemetry.stats import Stats

_WORDS = {
    client_messages.Ping: Inbound.PING,
    client_messages.Subscribe: Inbound.SUBSCRIBE,
    client_messages.Unsubscribe: Inbound.UNSUBSCRIBE,
    client_messages.List: Inbound.LIST,
    client_messages.Ack: Inbound.ACK,
    client_messages.Explain: Inbound.EXPLAIN,
    client_messages.Refresh: Inbound.REFRESH,
    client_messages.Auth: Inbound.AUTH,
}


class Commands:
    """Does what clients ask for. An action is answered where its message has an id, or asks for something."""

    def __init__(
        self,
        connections: ConnectionManager,
        channels: Channels,
        acks: Acks,
        explain: Explainer,
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
        self._acks.suspend(session)

    async def do(self, session: Session, message: client_messages.Message) -> None:
        """Do what a message asks for. Raises NewsError, to be told to the client."""
        self._stats.inbound[_WORDS[type(message)]] += 1
        match message:
            case client_messages.Ping(id=request_id, t=t):
                pong = server_messages.Pong(self._clock.wall(), self._connections.position, t, request_id)
                self._connections.send(session, pong)
            case client_messages.Subscribe():
                await self._subscribe(session, message)
            case client_messages.Unsubscribe():
                await self._unsubscribe(session, message)
            case client_messages.List(id=request_id):
                states = self._channels.states(session)
                self._connections.send(session, server_messages.Subscriptions(states, request_id))
            case client_messages.Ack():
                self._ack(session, message)
            case client_messages.Explain():
                explanation = await self._explain.to_session(message.item, session)
                self._connections.send(session, explanation_message(explanation, message.id))
            case client_messages.Refresh() | client_messages.Auth():
                await self._refresh(session, message)

    async def _subscribe(self, session: Session, message: client_messages.Subscribe) -> None:
        wants, seq = await self._channels.subscribe(session, message)
        if message.id is not None:
            noticed: Sequence[FieldError] = message.parsed.warnings if message.parsed is not None else ()
            warnings = tuple(server_messages.FieldProblem(*one) for one in noticed)
            answer = server_messages.Subscribed(message.id, message.channel, wants, seq, warnings)
            self._connections.send(session, answer)

    async def _unsubscribe(self, session: Session, message: client_messages.Unsubscribe) -> None:
        await self._channels.unsubscribe(session, message)
        if message.id is not None:
            self._connections.send(session, server_messages.Unsubscribed(message.id, message.channel))

    def _ack(self, session: Session, message: client_messages.Ack) -> None:
        acked = self._acks.acknowledge(session, message.seq)
        if message.id is not None:
            self._connections.send(session, server_messages.Acked(message.id, acked))

    async def _refresh(self, session: Session, message: client_messages.Refresh | client_messages.Auth) -> None:
        if self._verifier is None:
            raise ClientError(ErrorCode.INVALID_MESSAGE, "This server asks for no tokens")
        identity = await self._verifier.verify(message.token)
        if identity.user_id != session.user_id or identity.expires_at is None:
            raise ClientError(ErrorCode.FORBIDDEN, "The token is another user's")
        self._channels.entitle(session, identity.entitled)
        session.expires_at, session.is_expiry_told = identity.expires_at, False
        self._connections.send(session, server_messages.Refreshed(identity.expires_at, message.id))
