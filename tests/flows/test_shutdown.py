"""Draining: what was accepted is sent before connections are closed."""

import asyncio

import pytest

from app.adapters.data.vocabularies import load_vocabularies
from app.core.limits import Limits
from app.core.news.enrichment import Enricher
from app.core.news.item import RawNews, Source
from app.core.protocol.close_codes import DisconnectReason
from app.flows.news.process import IncomingItem, NewsProcessor
from app.flows.operations.shutdown import Shutdown
from app.telemetry.labels import Intake
from tests.support.harness import Harness
from tests.support.link import RecordingLink

TABLES = load_vocabularies()


class Stopping:
    """A harness that is about to stop."""

    def __init__(self) -> None:
        self.harness = Harness(Limits())
        self.queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
        harness = self.harness
        self.processor = NewsProcessor(
            harness.stores.log,
            self.queue,
            Enricher(TABLES, str),
            harness.limits.publishing,
            harness.clock,
            harness.stats,
        )
        self.drain = Shutdown(
            self.processor,
            harness.broadcaster,
            harness.admission,
            harness.live,
            harness.clients.resolver,
            harness.limits.shutdown,
            harness.clock,
        )

    async def advance(self) -> None:
        self.harness.clock.move(0.01)
        await self.harness.settle()


async def test_stored_items_are_broadcast_before_closing() -> None:
    stopping = Stopping()
    _, link = stopping.harness.join()
    await stopping.harness.store(3)
    stopping.drain.begin()
    sending = asyncio.create_task(stopping.drain.flush())
    await stopping.advance()
    assert not sending.done()

    await stopping.harness.broadcast()
    await stopping.advance()

    assert sending.done()
    assert link.seqs == [1, 2, 3]
    assert link.endings == []


async def test_queued_feed_items_are_stored_first() -> None:
    stopping = Stopping()
    raw = RawNews(source=Source.RSS, content="story", url="https://example.com/1", published_at=1.0)
    stopping.queue.put_nowait(IncomingItem(raw, Intake.RSS))
    stopping.drain.begin()
    sending = asyncio.create_task(stopping.drain.flush())
    await stopping.advance()
    assert not sending.done()

    processing = asyncio.create_task(stopping.processor.run())
    await stopping.advance()
    await stopping.harness.broadcast(1)
    await stopping.advance()
    processing.cancel()

    assert sending.done()
    assert stopping.harness.stores.log.head == 1


async def test_hanging_work_is_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.flows.operations.shutdown._FLUSH_TIMEOUT_S", 0.01)
    stopping = Stopping()
    await stopping.harness.store(1)

    await stopping.drain.flush()

    assert stopping.harness.live.position == 0


async def test_client_that_ignores_close_is_aborted() -> None:
    stopping = Stopping()
    _, link = stopping.harness.join()
    closing = asyncio.create_task(stopping.drain.close_all())
    while not closing.done():
        await asyncio.sleep(0)
        stopping.harness.clock.move(0.1)

    assert link.endings == [DisconnectReason.SHUTDOWN]
    assert link.aborted


async def test_v2_client_gets_reconnect_advice() -> None:
    stopping = Stopping()
    link = RecordingLink()
    await stopping.harness.arrive(link=link, is_v2=True)
    await stopping.harness.publish(2)
    closing = asyncio.create_task(stopping.drain.close_all())
    while not closing.done():
        await asyncio.sleep(0)
        stopping.harness.clock.move(0.1)

    advice = link.messages[-1]
    assert (advice["type"], advice["resume"]) == ("reconnect", f"{stopping.harness.stores.log.epoch}:2")
