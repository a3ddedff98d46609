"""The broadcaster over a log in memory."""

import asyncio
from typing import Any

import pytest

from app.adapters.http.websocket.send_many import send_many
from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.memory.stores import memory_stores
from app.core.delivery.phases import Phase
from app.core.limits import Limits
from app.flows.delivery.broadcast import BroadcastQueue, Probe, WebSocketBroadcaster
from app.flows.operations.readiness import ReadinessChecks
from app.flows.operations.retention import SEEN_KEPT_S, STEP_INTERVAL_S, Retention
from app.ports.log import Record
from app.telemetry.labels import Broadcast
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.harness import Connections, Harness
from tests.support.items import entry, item
from tests.support.time_limits import soon


async def test_items_keep_log_order_through_a_small_queue() -> None:
    log, clock, stats = MemoryNewsLog(), FakeClock(), Stats()
    connections = Connections(send_many, Limits(), clock, stats)
    queue = BroadcastQueue(2)
    broadcaster = WebSocketBroadcaster(log, queue, connections.delivery, clock, stats)
    _, link = connections.join()

    async with asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(broadcaster.follow()), tasks.create_task(broadcaster.run())]
        for number in range(20):
            await log.append([entry(number)])
        while connections.live.position < 20:
            await asyncio.sleep(0)
        for worker in workers:
            worker.cancel()

    assert [message["seq"] for message in link.messages] == list(range(1, 21))
    assert stats.broadcast.broadcast[Broadcast.DELIVERED] == 20


async def test_items_stored_before_start_are_not_sent() -> None:
    log, clock, stats = MemoryNewsLog(), FakeClock(), Stats()
    await log.append([entry(1)])
    connections = Connections(send_many, Limits(), clock, stats, position=log.head)
    queue = BroadcastQueue(2)
    following = asyncio.create_task(WebSocketBroadcaster(log, queue, connections.delivery, clock, stats).follow())

    await log.append([entry(2)])
    taken = await soon(queue.get())
    following.cancel()

    assert isinstance(taken, Record)
    assert taken.seq == 2


async def test_item_missing_from_the_log_is_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(Limits())
    session, link = await harness.arrive(is_v2=True)
    await harness.store(4)
    records = [record for record in await harness.stores.log.read(0, 4) if record.seq not in (2, 4)]
    monkeypatch.setattr(harness.stores.log, "read", _reading(records))

    harness.broadcaster.broadcast(*records)
    async with harness.reading():
        await harness.settle()
    harness.live.position = 4
    harness.live.rewind(session, session.channels, 3)
    async with harness.reading():
        await harness.settle()

    gaps = [(gap["from_seq"], gap["to_seq"], gap["reason"]) for gap in link.messages if gap["type"] == "gap"]
    assert gaps == [(2, 2, "unreadable"), (4, 4, "unreadable")]
    assert (link.seqs, session.phase) == ([1, 3], Phase.LIVE)


def _reading(records: list[Record]) -> Any:
    async def read(after: int, limit: int) -> list[Record]:
        return [record for record in records if record.seq > after][:limit]

    return read


async def test_queue_reports_the_oldest_wait() -> None:
    log, queue = MemoryNewsLog(), BroadcastQueue(5)
    assert queue.oldest_age_s(now=10.0) == 0.0
    await log.append([entry(1, accepted_at=3.0), entry(2, accepted_at=9.0)])
    for record in await log.read(0, 2):
        await queue.put(record)

    assert queue.oldest_age_s(now=10.0) == 7.0


async def test_retention_prunes_old_items_every_minute() -> None:
    log, clock = MemoryNewsLog(), FakeClock(now=100.0)
    await log.append([entry(number, accepted_at=100.0 + number) for number in range(5)])
    stores = memory_stores(log)
    connections = Connections(send_many, Limits(), clock, Stats(), position=log.head)
    pruning = asyncio.create_task(Retention(stores, connections.live, clock, keep_s=60.0, keep_items=1_000).run())
    await asyncio.sleep(0)

    clock.move(STEP_INTERVAL_S + 2.5)
    for _ in range(5):
        await asyncio.sleep(0)
    pruning.cancel()

    assert log.oldest == 4


async def test_retention_forgets_what_feeds_dropped() -> None:
    clock, stores = FakeClock(now=1_000_000.0), memory_stores()
    connections = Connections(send_many, Limits(), clock, Stats())
    await stores.seen.remember({b"old": b"v"}, 1_000_000.0)
    clock.move(SEEN_KEPT_S - 1)
    await stores.seen.remember({b"new": b"v"}, clock.wall())
    retention = Retention(stores, connections.live, clock, keep_s=60.0, keep_items=1_000)
    await retention.prune()
    assert set(await stores.seen.known([b"old", b"new"])) == {b"old", b"new"}
    clock.move(2)
    await retention.prune()

    assert set(await stores.seen.known([b"old", b"new"])) == {b"new"}


async def test_retention_keeps_items_not_broadcast_yet() -> None:
    log, clock = MemoryNewsLog(), FakeClock(now=1_000_000.0)
    await log.append([entry(number, accepted_at=0.0) for number in range(5)])
    connections = Connections(send_many, Limits(), clock, Stats(), position=2)
    stores = memory_stores(log)
    retention = Retention(stores, connections.live, clock, keep_s=60.0, keep_items=1_000)

    assert [await retention.prune(), await retention.prune()] == [2, 0]
    assert log.oldest == 3


async def test_stuck_broadcaster_is_neither_alive_nor_ready() -> None:
    log, clock, stats, limits = MemoryNewsLog(), FakeClock(), Stats(), Limits()
    stores = memory_stores(log)
    connections = Connections(send_many, limits, clock, stats)
    broadcaster = WebSocketBroadcaster(log, BroadcastQueue(), connections.delivery, clock, stats)
    readiness = ReadinessChecks(stores, connections.admission, connections.live, broadcaster, limits.broadcast, clock)
    assert readiness.is_ready()

    clock.move(limits.broadcast.stall_timeout_s)

    assert not readiness.is_alive()
    assert readiness.checks() == {
        "broadcaster": False,
        "storage": True,
        "not_draining": True,
        "below_capacity": True,
    }


async def test_full_disk_is_alive_but_not_ready() -> None:
    log, clock, limits = MemoryNewsLog(), FakeClock(), Limits()
    stores = memory_stores(log)._replace(is_writable=lambda: False)
    connections = Connections(send_many, limits, clock, Stats())
    broadcaster = WebSocketBroadcaster(log, BroadcastQueue(), connections.delivery, clock, Stats())
    readiness = ReadinessChecks(stores, connections.admission, connections.live, broadcaster, limits.broadcast, clock)

    assert readiness.is_alive()
    assert not readiness.is_ready()
    assert not readiness.checks()["storage"]


async def test_hanging_storage_is_not_alive() -> None:
    log, clock, limits = MemoryNewsLog(), FakeClock(), Limits()
    seconds = [limits.broadcast.stall_timeout_s - 1]
    stores = memory_stores(log)._replace(stalled_s=lambda: seconds[0])
    connections = Connections(send_many, limits, clock, Stats())
    broadcaster = WebSocketBroadcaster(log, BroadcastQueue(), connections.delivery, clock, Stats())
    readiness = ReadinessChecks(stores, connections.admission, connections.live, broadcaster, limits.broadcast, clock)

    assert readiness.is_alive()
    seconds[0] += 1
    assert not readiness.is_alive()
    assert readiness.checks()["broadcaster"]


async def test_stuck_items_make_server_neither_alive_nor_ready() -> None:
    log, clock, stats, limits, queue = MemoryNewsLog(), FakeClock(), Stats(), Limits(), BroadcastQueue()
    stores = memory_stores(log)
    connections = Connections(send_many, limits, clock, stats)
    broadcaster = WebSocketBroadcaster(log, queue, connections.delivery, clock, stats)
    readiness = ReadinessChecks(stores, connections.admission, connections.live, broadcaster, limits.broadcast, clock)
    await log.append([entry(1), entry(2)])
    turning = asyncio.create_task(broadcaster.run())

    async def is_alive_after(seconds: float) -> bool:
        clock.move(seconds)
        # A probe makes the broadcaster tick; nothing follows the log.
        await queue.put_probe(Probe(Record(0, 0.0, item(), b"{}"), lambda _frame: None))
        while broadcaster.idle_s():
            await asyncio.sleep(0)
        return readiness.is_alive()

    waiting_for_the_first = [await is_alive_after(20), await is_alive_after(20)]
    connections.live.position = 1
    waiting_for_the_second = [await is_alive_after(20), await is_alive_after(20), await is_alive_after(20)]
    connections.live.position = 2
    waiting_for_nothing = [await is_alive_after(20), await is_alive_after(20), await is_alive_after(20)]
    turning.cancel()

    assert waiting_for_the_first == [True, True]
    assert waiting_for_the_second == [True, True, False]
    assert waiting_for_nothing == [True, True, True]
