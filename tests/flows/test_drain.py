"""The drain: what was accepted goes out before anybody is sent home."""

import asyncio

import pytest

from app.adapters.data.vocabularies import load_vocabularies
from app.core.limits import Limits
from app.core.news.item import RawNews, Source
from app.core.protocol.close_codes import DisconnectReason
from app.flows.news.process import IncomingItem, NewsProcessor
from app.flows.operations.shutdown import Shutdown
from app.telemetry.labels import Intake
from tests.support.hall import Hall, join
from tests.support.link import RecordingLink

TABLES = load_vocabularies()


class Stopping:
    """A hall that is about to stop."""

    def __init__(self) -> None:
        self.hall = Hall(Limits())
        self.queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
        hall = self.hall
        self.processor = NewsProcessor(hall.stores.log, self.queue, TABLES, str, hall.limits, hall.clock, hall.stats)
        self.drain = Shutdown(
            self.processor, hall.broadcaster, hall.connections, hall.clients.resumption, hall.limits, hall.clock
        )

    async def turn(self) -> None:
        self.hall.clock.move(0.01)
        await self.hall.settle()


async def test_what_is_stored_is_broadcast_before_anybody_is_sent_home() -> None:
    stopping = Stopping()
    _, link = join(stopping.hall.connections)
    await stopping.hall.store(3)
    stopping.drain.begin()
    sending = asyncio.create_task(stopping.drain.flush())
    await stopping.turn()
    assert not sending.done()

    await stopping.hall.broadcast()
    await stopping.turn()

    assert sending.done()
    assert link.seqs == [1, 2, 3]
    assert link.endings == []


async def test_what_a_feed_handed_in_is_stored_first() -> None:
    stopping = Stopping()
    raw = RawNews(source=Source.RSS, content="story", url="https://example.com/1", published_at=1.0)
    stopping.queue.put_nowait(IncomingItem(raw, Intake.RSS))
    stopping.drain.begin()
    sending = asyncio.create_task(stopping.drain.flush())
    await stopping.turn()
    assert not sending.done()

    processing = asyncio.create_task(stopping.processor.run())
    await stopping.turn()
    await stopping.hall.broadcast(1)
    await stopping.turn()
    processing.cancel()

    assert sending.done()
    assert stopping.hall.stores.log.head == 1


async def test_what_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.flows.operations.shutdown._LEVEL_WITHIN_S", 0.01)
    stopping = Stopping()
    await stopping.hall.store(1)

    await stopping.drain.flush()

    assert stopping.hall.connections.position == 0


async def test_who_does_not_go_is_dropped() -> None:
    stopping = Stopping()
    _, link = join(stopping.hall.connections)
    closing = asyncio.create_task(stopping.drain.close_all())
    while not closing.done():
        await asyncio.sleep(0)
        stopping.hall.clock.move(0.1)

    assert link.endings == [DisconnectReason.SHUTDOWN]
    assert link.aborted


async def test_who_speaks_v2_is_told_where_to_come_back_before_the_end() -> None:
    stopping = Stopping()
    link = RecordingLink()
    await stopping.hall.arrive(link=link, is_v2=True)
    await stopping.hall.publish(2)
    closing = asyncio.create_task(stopping.drain.close_all())
    while not closing.done():
        await asyncio.sleep(0)
        stopping.hall.clock.move(0.1)

    farewell = link.messages[-1]
    assert (farewell["type"], farewell["resume"]) == ("reconnect", f"{stopping.hall.stores.log.epoch}:2")
