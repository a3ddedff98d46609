"""Execute each kind of client message, and send its answer."""

from app.core.errors import ClientError, ErrorCode
from app.core.protocol import client_messages, server_messages
from app.flows.connections.channels import ChannelCommands
from app.flows.connections.explain import Explainer, explanation_message
from app.flows.delivery.acks import Acks
from app.flows.delivery.live import LiveSet
from app.flows.delivery.session import Session, token_state
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.telemetry.labels import Inbound
from app.telemetry.stats import Stats

_LABELS = {
    client_messages.Echo: Inbound.PING,
    client_messages.Subscribe: Inbound.SUBSCRIBE,
    client_messages.Unsubscribe: Inbound.UNSUBSCRIBE,
    client_messages.List: Inbound.LIST,
    client_messages.Ack: Inbound.ACK,
    client_messages.Explain: Inbound.EXPLAIN,
    client_messages.Refresh: Inbound.REFRESH,
    client_messages.Auth: Inbound.AUTH,
}


class Commands:
    """Executes the messages of clients. `ping`, `list`, `explain`, `refresh` and `auth` are always answered;
    `subscribe`, `unsubscribe` and `ack` only if the message has an id.
    """

    def __init__(
        self,
        live: LiveSet,
        channels: ChannelCommands,
        acks: Acks,
        explainer: Explainer,
        verifier: Verifier,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._live = live
        self._channels = channels
        self._acks = acks
        self._explainer = explainer
        self._verifier = verifier
        self._clock = clock
        self._stats = stats

    async def execute(self, session: Session, message: client_messages.Message) -> None:
        """Count and execute a message, and send the answer if there is one. Raises NewsError, which the dispatcher
        sends to the client as an `error` message.
        """
        self._stats.connections.record_message(_LABELS[type(message)])
        match message:
            case client_messages.Echo(id=request_id, t=t):
                self._live.send(session, server_messages.Pong(self._clock.wall(), self._live.position, t, request_id))
            case client_messages.Subscribe():
                await self._subscribe(session, message)
            case client_messages.Unsubscribe():
                await self._unsubscribe(session, message)
            case client_messages.List(id=request_id):
                self._live.send(session, server_messages.Subscriptions(self._channels.states(session), request_id))
            case client_messages.Ack():
                self._acknowledge(session, message)
            case client_messages.Explain():
                explanation = await self._explainer.explain_to_session(message.item, session)
                self._live.send(session, explanation_message(explanation, message.id))
            case client_messages.Refresh() | client_messages.Auth():
                await self._refresh(session, message)

    async def _subscribe(self, session: Session, message: client_messages.Subscribe) -> None:
        applied, seq = await self._channels.subscribe(session, message)
        if message.id is not None:
            warnings = tuple(server_messages.FieldProblem(*warning) for warning in message.warnings)
            answer = server_messages.Subscribed(message.id, message.channel, applied, seq, warnings)
            self._live.send(session, answer)

    async def _unsubscribe(self, session: Session, message: client_messages.Unsubscribe) -> None:
        await self._channels.unsubscribe(session, message)
        if message.id is not None:
            self._live.send(session, server_messages.Unsubscribed(message.id, message.channel))

    def _acknowledge(self, session: Session, message: client_messages.Ack) -> None:
        acked = self._acks.acknowledge(session, message.seq)
        if message.id is not None:
            self._live.send(session, server_messages.Acked(message.id, acked))

    async def _refresh(self, session: Session, message: client_messages.Refresh | client_messages.Auth) -> None:
        if not self._verifier.requires_tokens:
            raise ClientError(ErrorCode.INVALID_MESSAGE, "This server requires no tokens")
        identity = await self._verifier.verify(message.token)
        if identity.user_id != session.user_id or identity.expires_at is None:
            raise ClientError(ErrorCode.FORBIDDEN, "The token is another user's")
        self._channels.use_token(session, token_state(identity.entitled, identity.expires_at))
        self._live.send(session, server_messages.Refreshed(identity.expires_at, message.id))
