"""The canary: its probes take the path of every item, but only the canary gets or counts them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import pytest

from app.adapters.http.websocket.send_many import send_many
from app.adapters.memory.news_log import MemoryNewsLog
from app.core.limits import Limits
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.operations.canary import Canary
from app.flows.operations.canary_handler import CanaryHandler
from app.telemetry.labels import ProbeResult
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.harness import Connections
from tests.support.link import RecordingLink, payload_of

LIMITS = Limits().with_values({"canary.timeout_s": 0.05})


class World:
    """A broadcaster with one user, and a canary on a recording link; it receives what the link was given."""

    def __init__(self) -> None:
        self.clock, self.stats, queue = FakeClock(), Stats(), BroadcastQueue(10)
        self.connections = Connections(send_many, LIMITS, self.clock, self.stats)
        self.broadcaster = WebSocketBroadcaster(
            MemoryNewsLog(), queue, self.connections.delivery, self.clock, self.stats
        )
        self.end = CanaryHandler(self.clock)
        self.canary = Canary(queue, self.end.send, LIMITS.canary, self.clock, self.stats)
        self.queue = queue
        _, self.user = self.connections.join()
        self.link = RecordingLink()
        self.session = self.end.new_session()
        self.end.on_open(self.session, self.link)
        self.heard = 0
        self.is_lost = False

    async def receive(self) -> bytes:
        while self.heard == len(self.link.frames):
            if self.is_lost:
                raise ConnectionResetError("lost")
            await asyncio.sleep(0)
        self.heard += 1
        return payload_of(self.link.frames[self.heard - 1])

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["World"]:
        yield self

    @asynccontextmanager
    async def running(self, *, broadcasting: bool = True) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(self.canary.run(self.connect))]
            if broadcasting:
                working.append(tasks.create_task(self.broadcaster.run()))
            yield
            for task in working:
                task.cancel()

    async def probes(self, result: ProbeResult, count: int) -> None:
        """Wait for a number of probes with this result, while time passes."""
        while self.stats.server.probes[result] < count:
            self.clock.move(1)
            await asyncio.sleep(0)


async def test_probe_reaches_only_the_canary() -> None:
    world = World()

    async with world.running():
        await world.probes(ProbeResult.OK, 3)

    assert world.stats.server.probe_times.count == 3
    assert world.stats.server.last_probe_at > 0
    assert world.user.frames == []
    assert (
        world.stats.broadcast.broadcast.total()
        == world.stats.broadcast.decisions.total()
        == world.stats.broadcast.sends.total()
        == 0
    )
    assert (
        world.stats.broadcast.queue_wait.count
        == world.stats.broadcast.recipients.count
        == world.stats.connections.opened - 1
        == 0
    )
    assert world.connections.live.position == 0
    assert len(world.connections.manager) == len(world.connections.manager.describe(are_open=True)) == 1
    [first, *_] = [msgspec.json.decode(payload_of(frame)) for frame in world.link.frames]
    assert (first["type"], first["seq"], first["data"]["id"]) == ("news_item", 0, "canary_1")


async def test_late_probes_are_not_taken_for_new() -> None:
    world = World()

    async with world.running(broadcasting=False):
        await world.probes(ProbeResult.TIMEOUT, 3)
        assert world.stats.server.probes[ProbeResult.OK] == 0
        assert world.queue.qsize() == 1
        assert world.queue.items() == []
        assert world.queue.oldest_age_s(world.clock.wall()) == 0
        async with asyncio.TaskGroup() as tasks:
            broadcasting = tasks.create_task(world.broadcaster.run())
            await world.probes(ProbeResult.OK, 1)
            broadcasting.cancel()

    heard = [msgspec.json.decode(payload_of(frame))["data"]["id"] for frame in world.link.frames]
    assert heard == ["canary_1", "canary_4"] or heard[:2] == ["canary_1", "canary_5"]


async def test_unmatchable_item_loses_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(world.connections.live.index, "match", lambda _item: 1 / 0)

    async with world.running():
        await world.probes(ProbeResult.TIMEOUT, 1)

    assert world.link.frames == []


async def test_lost_connection_is_an_error_and_reopened() -> None:
    world = World()

    async with world.running():
        await world.probes(ProbeResult.OK, 1)
        world.end.on_closed(world.session, DisconnectReason.NETWORK)
        world.is_lost = True
        await world.probes(ProbeResult.ERROR, 1)
        world.is_lost = False
        world.end.on_open(world.end.new_session(), world.link)
        await world.probes(ProbeResult.OK, 2)

    assert world.session.disconnect_reason is DisconnectReason.NETWORK


async def test_reconnect_before_the_old_connection_ends_is_kept() -> None:
    world = World()
    new = RecordingLink()

    world.end.on_open(world.end.new_session(), new)
    world.end.on_closed(world.session, DisconnectReason.NETWORK)
    world.end.send(b"frame")

    assert (new.frames, world.link.frames) == ([b"frame"], [])


async def test_malformed_message_is_an_error_only() -> None:
    world = World()

    async with world.running():
        world.link.frames.append(frames.text_frame(b'{"type":"keep_alive"}'))
        await world.probes(ProbeResult.ERROR, 1)
        await world.probes(ProbeResult.OK, 1)


async def test_refused_connection_is_an_error_each_time() -> None:
    world = World()

    def refused() -> AbstractAsyncContextManager[World]:
        raise ConnectionRefusedError("nobody listens")

    running = asyncio.create_task(world.canary.run(refused))
    await world.probes(ProbeResult.ERROR, 3)
    running.cancel()


def test_canary_handler_answers_pings_and_closes_on_violation() -> None:
    world = World()

    world.end.on_ping(world.session, b"x")
    world.end.on_data(10)
    world.end.on_message(world.session, "{}")
    world.end.on_pong(world.session)
    world.end.on_violation(world.session, DisconnectReason.PROTOCOL_ERROR)

    assert world.link.frames == [b"\x8a\x01x"]
    assert world.link.endings == [DisconnectReason.PROTOCOL_ERROR]
    assert world.stats.connections.received_bytes == world.stats.connections.inbound.total() == 0
