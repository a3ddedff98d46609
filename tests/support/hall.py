"""Everything between the log and the clients, as wired, with hand-set time, a log in memory and recording links."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from app.adapters.memory.stores import memory_stores
from app.core.delivery.positions import ResumeRequest
from app.core.filters.filter import DEFAULT_CHANNEL, MATCH_ALL, Filter
from app.core.limits import Limits
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.connect import ConnectRequest
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.delivery.fanout import Outgoing
from app.flows.delivery.session import Channel, Session
from app.ports.log import Record
from app.ports.stores import Stores
from app.telemetry.stats import Stats
from app.wiring import build_clients
from tests.support.clock import FakeClock
from tests.support.items import entry, item
from tests.support.link import RecordingLink


def join(
    connections: ConnectionManager,
    user_id: str = "u",
    wants: Filter | None = MATCH_ALL,
    *,
    stalled: bool = False,
    device_id: str | None = None,
) -> tuple[Session, RecordingLink]:
    """Seat and open a connection with one filter."""
    session = connections.admit(user_id, device_id)
    session.use_channels([Channel(DEFAULT_CHANNEL, wants)])
    link = RecordingLink(stalled=stalled)
    connections.open(session, link)
    return session, link


class Hall:
    """Clients arrive, items are published, the loop turns; nothing happens by itself."""

    def __init__(self, limits: Limits, stores: Stores | None = None) -> None:
        self.limits, self.clock, self.stats = limits, FakeClock(), Stats()
        self.stores = stores or memory_stores()
        self.clients = build_clients(self.stores, None, limits, self.clock, self.stats)
        self.connections = self.clients.connections
        self.broadcaster = WebSocketBroadcaster(
            self.stores.log, BroadcastQueue(), self.connections, self.clock, self.stats
        )
        self.published = 0

    async def arrive(
        self,
        user_id: str = "u",
        wants: Filter | None = MATCH_ALL,
        *,
        link: RecordingLink | None = None,
        channels: tuple[Channel, ...] | None = None,
        asked: ResumeRequest | None = None,
        device_id: str | None = None,
        **wishes: Any,
    ) -> tuple[Session, RecordingLink]:
        """Let a client in by the way of the upgrade."""
        own = (Channel(DEFAULT_CHANNEL, wants, follows=False),)
        if wishes.get("wants_acks"):
            device_id = device_id or ""
        opening = ConnectRequest(user_id, device_id, channels or own, asked, **wishes)
        session = self.connections.admit(user_id, device_id)
        try:
            await self.clients.greeting.prepare(session, opening)
        except BaseException:
            self.connections.release(session, DisconnectReason.NETWORK)
            raise
        link = link or RecordingLink()
        link.on_resume = lambda: self.clients.converse.on_resume(session)
        self.clients.converse.on_open(session, link)
        return session, link

    async def send(self, session: Session, message: dict[str, Any]) -> None:
        """Let a client say something, and wait until it is answered."""
        self.clients.converse.on_message(session, msgspec.json.encode(message).decode())
        while session.is_answering:
            await asyncio.sleep(0)

    def ask_for_acks(self) -> None:
        """Look after acks alone: clients of a hall do not answer pings."""
        for session in self.connections.open_sessions():
            self.clients.acks.redeliver(session, self.clock.monotonic())

    def delivered(self, session: Session) -> int:
        """Give how many items a connection had since it was last told where it stands."""
        return self.connections.slots.delivered(session)

    def leave(self, session: Session) -> None:
        self.clients.converse.on_closed(session, DisconnectReason.NETWORK)

    async def publish(self, count: int = 1, **changes: Any) -> None:
        """Store and broadcast so many items."""
        await self.store(count, **changes)
        await self.broadcast()

    async def store(self, count: int = 1, **changes: Any) -> None:
        """Store so many items, and do not broadcast them yet."""
        numbers = range(self.published + 1, self.published + count + 1)
        await self.stores.log.append([entry(number, self.clock.wall(), **changes) for number in numbers])
        self.published += count

    async def broadcast(self, count: int | None = None) -> None:
        """Broadcast what is stored, or the next so many."""
        for record in await self.stores.log.read(self.connections.position, count or self.published):
            self.broadcaster.broadcast(record)

    async def broadcast_together(self) -> None:
        """Broadcast what is stored in one batch."""
        self.broadcaster.broadcast(*await self.stores.log.read(self.connections.position, self.published))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Let those that are behind read the log."""
        reader = asyncio.create_task(self.clients.catch_up.run())
        try:
            yield
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def come_to_rest(self, link: RecordingLink) -> None:
        """Let a client take everything, and go on until there is nothing left to be sent."""
        for _ in range(5):
            link.take()
            await self.broadcast()
            self.clock.move(0.1)
            await self.settle()

    async def settle(self) -> None:
        """Turn the loop until everybody who can do something did it."""
        for _ in range(200):
            await asyncio.sleep(0)

    def write_item(self, seq: int = 1, size: int = 50) -> None:
        """Deliver a frame of a size to everybody who wants the plain item."""
        match = self.connections.index.match(item())
        self.stats.item_decided(match)
        record = Record(seq, self.clock.wall(), item(), b"{}", trace_id="trace")
        self.connections.deliver([Outgoing(record, frames.EncodedMessage(b"x" * size), match.recipients)])
