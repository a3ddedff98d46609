"""Items that wait are sent together: one write a connection, and the same bytes for all with the same matches."""

import asyncio
from typing import Any

import msgspec
import pytest

from app.adapters.memory.news_log import MemoryNewsLog
from app.core.delivery.phases import Phase
from app.core.filters.filter import Filter
from app.core.filters.matching import Outcome
from app.core.limits import Limits
from app.core.news.item import NewsItem
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.broadcast import BroadcastQueue, Probe, WebSocketBroadcaster
from app.flows.delivery.channel import Channel
from app.ports.log import Record
from app.telemetry.labels import Broadcast, Sent
from tests.support.harness import Harness
from tests.support.items import entry, item
from tests.support.link import RecordingLink

LIMITS = Limits().with_values({"delivery.write_high_water_bytes": 4_000})


@pytest.fixture
def harness() -> Harness:
    return Harness(LIMITS)


async def test_connection_gets_its_batch_in_one_write(harness: Harness) -> None:
    _, everything = harness.join("a")
    _, loud = harness.join("b", Filter(impact_threshold=50))
    _, nothing = harness.join("c", Filter(impact_threshold=100))
    for impact in (10, 60, 20, 90):
        await harness.store(1, impact_score=float(impact))

    await harness.broadcast_together()

    assert (everything.seqs, everything.writes) == ([1, 2, 3, 4], 1)
    assert (loud.seqs, loud.writes) == ([2, 4], 1)
    assert nothing.writes == 0
    assert harness.stats.broadcast.sends == {Sent.WRITTEN: 6, Sent.CLOSED: 0, Sent.MERGED: 0, Sent.FAILED: 0}
    assert harness.stats.broadcast.delivery.count == 6
    assert sum(harness.stats.broadcast.decisions.values()) == 12 == harness.stats.broadcast.slots_asked
    assert harness.live.position == 4


async def test_failing_item_is_read_from_the_log(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    session, link = harness.join()
    await harness.store(3)
    match = harness.live.index.match

    def broken(news: NewsItem) -> object:
        if news.title == "Story 2":
            raise RuntimeError("a bug")
        return match(news)

    monkeypatch.setattr(harness.live.index, "match", broken)
    await harness.broadcast_together()
    assert (link.seqs, session.phase, session.cursor) == ([1], Phase.REPLAYING, 1)
    async with harness.reading():
        await harness.settle()

    assert (link.seqs, session.phase) == ([1, 2, 3], Phase.LIVE)
    assert harness.stats.broadcast.broadcast[Broadcast.ERROR] == 1
    assert harness.stats.broadcast.decisions[Outcome.ERROR] == 1


async def test_client_whose_write_fails_is_disconnected(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, first), (session, broken), (_, last) = (harness.join(name) for name in ("a", "b", "c"))
    await harness.store(2)
    with monkeypatch.context() as failing:
        failing.setattr(broken, "write", lambda _frames: 1 / 0)
        await harness.broadcast_together()
    await harness.publish()

    assert broken.endings == [DisconnectReason.INTERNAL_ERROR]
    assert session.phase is Phase.CLOSED
    assert first.seqs == last.seqs == [1, 2, 3]
    assert harness.stats.broadcast.sends[Sent.CLOSED] == 2


async def test_link_that_fails_always_is_aborted(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, broken), (_, healthy) = harness.join("a"), harness.join("b")
    for call in ("write", "close"):
        monkeypatch.setattr(broken, call, lambda _argument: 1 / 0)

    await harness.publish(2)

    assert broken.aborted
    assert healthy.seqs == [1, 2]


async def test_clients_that_were_not_reached_read_the_log(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    (quiet, nothing), (missed, all_items) = harness.join("a", Filter(impact_threshold=100)), harness.join("b")
    await harness.store(2)
    with monkeypatch.context() as failing:
        failing.setattr("app.flows.delivery.fanout.group_by_items", lambda _recipients: 1 / 0)
        await harness.broadcast_together()

    assert (quiet.phase, missed.phase, missed.cursor) == (Phase.LIVE, Phase.REPLAYING, 0)
    assert harness.stats.broadcast.sends[Sent.FAILED] == 2
    async with harness.reading():
        await harness.settle()
    assert (nothing.seqs, all_items.seqs) == ([], [1, 2])


async def test_named_channels_miss_only_items_after_failure(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    session, link = harness.join("a")
    harness.manager.join_channel(session, Channel("all", Filter(impact_threshold=0)))
    await harness.store(3)
    encode = frames.news_item

    def broken(seq: int, *details: Any, **flags: Any) -> bytes:
        if seq == 2 and details[-1]:
            raise RuntimeError("a bug")
        return encode(seq, *details, **flags)

    with monkeypatch.context() as failing:
        failing.setattr(frames, "news_item", broken)
        await harness.broadcast_together()
    assert (link.seqs, session.phase, session.cursor) == ([1], Phase.REPLAYING, 1)
    async with harness.reading():
        await harness.settle()

    assert link.seqs == [1, 2, 3]
    assert [channel.matched for channel in session.channels] == [3, 3]


async def test_failing_metrics_do_not_affect_delivery(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    session, link = harness.join()
    monkeypatch.setattr(harness.stats.broadcast, "record_fanout", lambda _counts: 1 / 0)
    monkeypatch.setattr(harness.stats.broadcast, "record_stages", lambda _times: 1 / 0)

    await harness.publish(2)

    assert (link.seqs, session.phase) == ([1, 2], Phase.LIVE)


async def test_channels_and_acks_get_batches_in_order(harness: Harness) -> None:
    session, by_name = harness.join("a", Filter(impact_threshold=50))
    harness.manager.join_channel(session, Channel("all", Filter(impact_threshold=0)))
    careful, acking = await harness.arrive("b", uses_acks=True)
    for impact in (10, 60):
        await harness.store(1, impact_score=float(impact))

    await harness.broadcast_together()

    items = [(message["seq"], message["channels"]) for message in by_name.messages]
    assert items == [(1, ["all"]), (2, ["all", "default"])]
    assert acking.seqs == [1, 2]
    assert careful.window is not None
    assert len(careful.window) == 2
    assert harness.stats.broadcast.sends == {Sent.WRITTEN: 4, Sent.CLOSED: 0, Sent.MERGED: 1, Sent.FAILED: 0}


async def test_slow_client_falls_behind_with_whole_batch(harness: Harness) -> None:
    session, link = await harness.arrive(link=RecordingLink(stalled=True))
    await harness.store(12)

    await harness.broadcast_together()

    assert link.seqs == list(range(1, 13))
    assert (session.phase, session.cursor) == (Phase.LAGGING, 12)


async def test_due_checkpoint_comes_once_in_a_batch(harness: Harness) -> None:
    harness = Harness(Limits().with_values({"delivery.checkpoint_interval_items": 5}))
    _, link = harness.join()
    await harness.store(8)

    await harness.broadcast_together()

    stands = [message for message in link.messages if message["type"] == "keep_alive"]
    assert [(stand["seq"], stand["delivered"]) for stand in stands] == [(8, 8)]


async def broadcast_one_tick(harness: Harness, queue: BroadcastQueue, log: MemoryNewsLog) -> None:
    """Run a broadcaster over the contents of a queue for one tick."""
    broadcaster = WebSocketBroadcaster(log, queue, harness.delivery, harness.clock, harness.stats)
    running = asyncio.create_task(broadcaster.run())
    await asyncio.sleep(0)
    running.cancel()


async def records(log: MemoryNewsLog, count: int, content: str = "x") -> list[Record]:
    await log.append([entry(number, content=content) for number in range(count)])
    return await log.read(0, count)


async def test_batch_is_bounded_by_write_size(harness: Harness) -> None:
    log, queue = MemoryNewsLog(), BroadcastQueue()
    _, link = harness.join()
    for record in await records(log, 12, content="x" * 10_000):
        queue.put_nowait(record)

    await broadcast_one_tick(harness, queue, log)

    assert (link.seqs, link.writes) == (list(range(1, 8)), 1)
    assert len(queue.items()) == 5


async def test_probe_keeps_its_place_among_items(harness: Harness) -> None:
    log, queue = MemoryNewsLog(), BroadcastQueue()
    order: list[str] = []
    session, link = harness.join()
    write = link.write

    def noted(frames: bytes) -> bool:
        order.append("item")
        return write(frames)

    link.write = noted  # type: ignore[method-assign]
    first, second, third = await records(log, 3)
    probe = Probe(Record(0, 0.0, item(), msgspec.json.encode(item())), lambda _frame: order.append("probe"))
    for waiting in (first, second, probe, third):
        queue.put_nowait(waiting)

    await broadcast_one_tick(harness, queue, log)

    assert order == ["item", "probe", "item"]
    assert link.seqs == [1, 2, 3]
    assert harness.delivered(session) == 3
