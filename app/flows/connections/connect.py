"""Admit a connection, and load and check what its client asked for.

Everything that needs the disk is loaded here, so that opening the connection afterwards needs no await. Most
connections are admitted before they open: the upgrade request is answered with 101 only afterwards. A pending
connection opens without a token, and is admitted when its client sends a valid one in `auth`.
"""

from typing import NamedTuple

from app.core.access.identity import Identity
from app.core.delivery.positions import ResumeRequest
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.limits import FilterLimits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.admission import Admission
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.acks import Acks
from app.flows.delivery.channel import Channel
from app.flows.delivery.inbox import Inbox
from app.flows.delivery.peer import Peer
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import ClientOptions, Session, token_state


class ConnectRequest(NamedTuple):
    """What a client asks for when it connects.

    `user_id` is None if the client names no user; the token then determines the user. `device_id` is None for a
    connection that does not take part in device takeover. `resume` is where in the log the client asks to start, or
    None if it does not ask. If `is_resume_required`, the connection is refused when it would start with a gap.
    """

    user_id: str | None
    device_id: str | None = None
    channels: tuple[Channel, ...] = ()
    resume: ResumeRequest | None = None
    is_resume_required: bool = False
    options: ClientOptions = ClientOptions()


class Connect:
    """Admits connections and prepares their sessions."""

    def __init__(
        self,
        admission: Admission,
        manager: ConnectionManager,
        subscriptions: SubscriptionService,
        resolver: StartResolver,
        acks: Acks,
        limits: FilterLimits,
    ) -> None:
        self._admission = admission
        self._manager = manager
        self._subscriptions = subscriptions
        self._resolver = resolver
        self._acks = acks
        self._limits = limits

    def check_capacity(self) -> None:
        """Raise ServerError(DRAINING) while the server shuts down, and ServerError(AT_CAPACITY) while it is full."""
        self._admission.check_capacity()

    async def admit(
        self, request: ConnectRequest, identity: Identity, peer: Peer, inbox: Inbox | None = None
    ) -> Session:
        """Admit a connection, load and check what its client asked for, and return the new session. `inbox` is the
        inbox of a pending connection: the new session takes over its waiting messages and the state of its rate limit.

        Raises ClientError(INVALID_PARAMETER, FORBIDDEN, TOO_MANY_CONNECTIONS, UNKNOWN_CHANNEL, RATE_LIMITED,
        RESUME_EXPIRED), ServerError(DRAINING, AT_CAPACITY), and other codes of ServerError if a store is not available.
        """
        user_id = identity.resolve_user(request.user_id)
        if user_id is None:
            where = (FieldError("user_id", "is required"),)
            raise ClientError(ErrorCode.INVALID_PARAMETER, "user_id is required", fields=where)
        self._check_channels(request.channels, identity)
        session = self._admission.admit(user_id, request.device_id, peer)
        try:
            await self._prepare(session, request, identity, inbox)
        except BaseException:
            self._manager.release(session, DisconnectReason.NETWORK)
            raise
        return session

    def _check_channels(self, channels: tuple[Channel, ...], identity: Identity) -> None:
        max_channels = identity.entitled.max_channels_within(self._limits.max_channels)
        if len(channels) > max_channels:
            where = (FieldError("channels", f"must be at most {max_channels} names, as the token says"),)
            raise ClientError(ErrorCode.INVALID_PARAMETER, "Too many channels", fields=where)

    async def _prepare(
        self, session: Session, request: ConnectRequest, identity: Identity, inbox: Inbox | None
    ) -> None:
        token = token_state(identity.entitled, identity.expires_at)
        session.configure(request.channels, request.options, token, inbox)
        await self._subscriptions.load_filters(session)
        if request.resume is not None:
            await self._resolver.prepare(session, request.resume, is_required=request.is_resume_required)
        elif identity.entitled.min_delay_s:
            await self._resolver.start_delayed(session)
        if request.options.uses_acks:
            await self._acks.prepare(session)
