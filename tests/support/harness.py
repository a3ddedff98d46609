"""The parts between the log and the clients, as wired, with a test clock, a log in memory and recording links."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from app.adapters.memory.stores import memory_stores
from app.adapters.tokens.anonymous import AnonymousVerifier
from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.access.identity import Identity
from app.core.delivery.positions import ResumeRequest
from app.core.filters.filter import DEFAULT_CHANNEL, MATCH_ALL, Filter
from app.core.limits import Limits
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.connections.admission import Admission
from app.flows.connections.connect import ConnectRequest
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.delivery.channel import Channel
from app.flows.delivery.in_flight import Outgoing
from app.flows.delivery.live import LiveSet
from app.flows.delivery.live_delivery import LiveDelivery
from app.flows.delivery.peer import NO_PEER
from app.flows.delivery.session import Session, client_options
from app.ports.log import Record
from app.ports.stores import Stores
from app.ports.transport import SendMany
from app.telemetry.stats import Stats
from app.wiring import build_clients
from tests.support.clock import FakeClock
from tests.support.items import entry, item
from tests.support.link import RecordingLink


class Connections:
    """Admission, the register and the live set, connected as in `wiring`."""

    def __init__(self, send_many: SendMany, limits: Limits, clock: FakeClock, stats: Stats, position: int = 0) -> None:
        self.admission = Admission(limits.connections, clock)
        self.live = LiveSet(limits.delivery, clock, stats, position)
        self.delivery = LiveDelivery(self.live, send_many, limits.delivery, clock, stats)
        self.manager = ConnectionManager(self.admission, self.live, clock, stats)

    def join(
        self,
        user_id: str = "u",
        wanted: Filter | None = MATCH_ALL,
        *,
        stalled: bool = False,
        device_id: str | None = None,
    ) -> tuple[Session, RecordingLink]:
        """Admit and open a connection with one filter."""
        session = self.admission.admit(user_id, device_id)
        session.configure([Channel(DEFAULT_CHANNEL, wanted)])
        link = RecordingLink(stalled=stalled)
        self.manager.open(session, link)
        return session, link


class Harness(Connections):
    """Clients arrive, items are published, the event loop runs; nothing happens by itself."""

    def __init__(self, limits: Limits, stores: Stores | None = None, clock: FakeClock | None = None) -> None:
        self.limits, self.clock, self.stats = limits, clock or FakeClock(), Stats()
        self.stores = stores or memory_stores()
        self.clients = build_clients(self.stores, AnonymousVerifier(), limits, self.clock, self.stats)
        self.admission, self.live, self.manager = self.clients.admission, self.clients.live, self.clients.manager
        self.delivery = self.clients.delivery
        self.broadcaster = WebSocketBroadcaster(
            self.stores.log, BroadcastQueue(), self.delivery, self.clock, self.stats
        )
        self.published = 0

    async def arrive(
        self,
        user_id: str = "u",
        wanted: Filter | None = MATCH_ALL,
        *,
        link: RecordingLink | None = None,
        channels: tuple[Channel, ...] | None = None,
        resume: ResumeRequest | None = None,
        is_resume_required: bool = False,
        device_id: str | None = None,
        is_v2: bool = False,
        uses_acks: bool = False,
        window_bits: int = UNCOMPRESSED,
        expires_at: float | None = None,
        entitled: Entitlement = UNRESTRICTED,
    ) -> tuple[Session, RecordingLink]:
        """Connect a client in the way of the upgrade."""
        own = (Channel(DEFAULT_CHANNEL, wanted, tracks_stored=False),)
        request = ConnectRequest(
            user_id,
            device_id or "" if uses_acks else device_id,
            channels or own,
            resume,
            is_resume_required,
            client_options(is_v2, uses_acks, window_bits),
        )
        identity = Identity(user_id, expires_at=expires_at, entitled=entitled)
        session = await self.clients.connect.admit(request, identity, NO_PEER)
        link = link or RecordingLink()
        link.on_resume = lambda: self.clients.dispatcher.on_resume(session)
        try:
            self.clients.dispatcher.on_open(session, link)
        except Exception:
            link.abort()
            self.leave(session)
            raise
        return session, link

    async def send(self, session: Session, message: dict[str, Any]) -> None:
        """Let a client send a message, and wait until it is answered."""
        self.clients.dispatcher.on_message(session, msgspec.json.encode(message).decode())
        while session.inbox is not None and session.inbox.is_answering:
            await asyncio.sleep(0)

    def redeliver(self) -> None:
        """Redeliver and do nothing else: clients of a harness do not answer pings."""
        for session in self.manager.open_sessions():
            self.clients.acks.redeliver(session, self.clock.monotonic())

    def delivered(self, session: Session) -> int:
        """Count a connection's items since its last checkpoint."""
        return self.live.slots.delivered(session)

    def leave(self, session: Session) -> None:
        self.clients.dispatcher.on_closed(session, DisconnectReason.NETWORK)

    async def publish(self, count: int = 1, **changes: Any) -> None:
        """Store and broadcast `count` items."""
        await self.store(count, **changes)
        await self.broadcast()

    async def store(self, count: int = 1, **changes: Any) -> None:
        """Store `count` items, and do not broadcast them yet."""
        numbers = range(self.published + 1, self.published + count + 1)
        await self.stores.log.append([entry(number, self.clock.wall(), **changes) for number in numbers])
        self.published += count

    async def broadcast(self, count: int | None = None) -> None:
        """Broadcast what is stored, or the next `count` items."""
        for record in await self.stores.log.read(self.live.position, count or self.published):
            self.broadcaster.broadcast(record)

    async def broadcast_together(self) -> None:
        """Broadcast what is stored in one batch."""
        self.broadcaster.broadcast(*await self.stores.log.read(self.live.position, self.published))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Let connections that are behind read the log."""
        reader = asyncio.create_task(self.clients.catch_up.run())
        try:
            yield
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def come_to_rest(self, link: RecordingLink) -> None:
        """Let a client take everything, until there is nothing left to be sent."""
        for _ in range(5):
            link.take()
            await self.broadcast()
            self.clock.move(0.1)
            await self.settle()

    async def settle(self) -> None:
        """Run the event loop until every task that can do something has done it."""
        for _ in range(200):
            await asyncio.sleep(0)

    def write_item(self, seq: int = 1, size: int = 50) -> None:
        """Deliver a frame of `size` bytes to every connection that matches the plain item."""
        match = self.live.index.match(item())
        self.stats.broadcast.record_decisions(match)
        record = Record(seq, self.clock.wall(), item(), b"{}", trace_id="trace")
        self.delivery.deliver([Outgoing(record, frames.EncodedMessage(b"x" * size), match.recipients)])
