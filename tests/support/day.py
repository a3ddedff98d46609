"""The script of a trading day in five minutes, for the pictures of the dashboards.

Clients connect, stay and change filters; news arrives by feed, by publisher and in a burst; clients break the rules; a
network fails for two in five; a rush finds the server full; one client stops reading.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import aiohttp

from tests.support.crowd import CountingClient, join
from tests.support.items import raw
from tests.support.server import RunningServer
from tests.support.sockets import masked, open_raw

LENGTH_S = 300.0
PLACES = 320
REGULARS = 240
TEXT, BINARY, PING, CLOSE = 0x81, 0x82, 0x89, 0x88
FILTERS = (
    '{"impact_threshold":0}',
    '{"impact_threshold":60}',
    '{"impact_threshold":20,"categories":["crypto","economics"]}',
    '{"impact_threshold":0,"keywords":["fed*","bitcoin","rate cut"]}',
    '{"impact_threshold":30,"rss_feeds":["example wire"]}',
)
WORDS = ("fed", "bitcoin", "election", "earnings", "rate cut", "tariffs", "merger", "ceasefire")
LAST_BYTES = (
    masked(CLOSE, (1000).to_bytes(2, "big")),
    masked(CLOSE, (1001).to_bytes(2, "big")),
    b"",
)
OFFENCES = (masked(BINARY, b"x"), masked(TEXT, b"\xff"), masked(PING, b"") * 70, masked(TEXT, b"nonsense"))


class Desk:
    """All clients of the day."""

    def __init__(self, server: RunningServer, seed: int = 7) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.clients: list[CountingClient] = []
        self._known = 0

    async def arrive(self) -> None:
        """Connect one more client, or be refused."""
        self._known += 1
        filters = FILTERS[self._known % len(FILTERS)]
        # A full server answers with a refusal, and the next client connects all the same.
        with suppress(ConnectionError):
            self.clients.append(await join(self.server.ws_url, f"trader-{self._known}", filters=filters))

    def go(self, count: int, last_bytes: bytes | None = None) -> None:
        """Make some clients leave, with a close frame or without."""
        for _ in range(min(count, len(self.clients))):
            client = self.clients.pop(self.chance.randrange(len(self.clients)))
            sent = self.chance.choice(LAST_BYTES) if last_bytes is None else last_bytes
            if sent:
                client.write(sent)
            else:
                client.close()

    def item(self, number: int) -> dict[str, object]:
        """Make one item."""
        return raw(
            number,
            title=f"{self.chance.choice(WORDS)} story {number}",
            content=f"{self.chance.choice(WORDS)} and {self.chance.choice(WORDS)} moved markets, report {number}",
            impact_score=round(self.chance.betavariate(2, 3) * 100, 1),
            category=self.chance.choice(("politics", "crypto", "economics", "sports", "other")),
            source_account=self.chance.choice(("Example Wire", "Market Desk", "City Paper")),
        )


async def a_day(server: RunningServer, length_s: float = LENGTH_S) -> None:
    """Play the whole day; times below are percent of it."""
    desk = Desk(server)
    async with asyncio.TaskGroup() as tasks:
        lasting = [tasks.create_task(job) for job in (_trade(desk), _publish(desk), _err(desk))]
        for at, event in ((30, _burst), (45, _stop_reading), (60, _lose_the_network), (75, _rush)):
            tasks.create_task(_later(length_s * at / 100, event, desk))
        await asyncio.sleep(length_s)
        for job in lasting:
            job.cancel()
    for client in desk.clients:
        client.close()


async def _later(delay_s: float, event: object, desk: Desk) -> None:
    await asyncio.sleep(delay_s)
    assert callable(event)
    await event(desk)


async def _trade(desk: Desk) -> None:
    """Connect in the morning, and leave and return all day; every client sends a ping now and then."""
    while True:
        for _ in range(3 if len(desk.clients) < REGULARS else 1):
            await desk.arrive()
        if len(desk.clients) >= REGULARS:
            desk.go(1)
        for client in desk.chance.sample(desk.clients, min(5, len(desk.clients))):
            client.write(masked(TEXT, b'{"type":"ping"}'))
        await asyncio.sleep(0.5)


async def _publish(desk: Desk) -> None:
    """Publish a few items a second, sometimes one twice."""
    for number in range(10_000, 1_000_000):
        await desk.server.publish(desk.item(number))
        if number % 40 == 0:
            await desk.server.publish(raw(number))
        await asyncio.sleep(desk.chance.uniform(0.1, 0.6))


async def _err(desk: Desk) -> None:
    """Make every mistake that a client can make."""
    while True:
        url = f"{desk.server.url}/api/v1/news"
        async with desk.server.http.post(url, data=b"{", headers={"Content-Type": "application/json"}):
            pass
        for query in ("", "?user_id=%20"):
            with suppress(aiohttp.WSServerHandshakeError):
                await desk.server.http.ws_connect(desk.server.ws_url + query)
        desk.go(1, desk.chance.choice(OFFENCES))
        await asyncio.sleep(4)


async def _burst(desk: Desk) -> None:
    for start in range(0, 400, 100):
        await desk.server.publish(*(desk.item(start + number) for number in range(100)))


@asynccontextmanager
async def _deaf(server: RunningServer) -> AsyncIterator[None]:
    client = await open_raw(server.ws_url, "deaf")
    try:
        yield
    finally:
        client.close()


async def _stop_reading(desk: Desk) -> None:
    async with _deaf(desk.server):
        for number in range(60):
            await desk.server.publish(raw(5_000 + number, content="x" * 9_000, impact_score=95))
            await asyncio.sleep(0.1)


async def _lose_the_network(desk: Desk) -> None:
    desk.go(len(desk.clients) * 2 // 5, b"")


async def _rush(desk: Desk) -> None:
    """Find the server full for a while."""
    for _ in range(60):
        rush: Sequence[asyncio.Task[None]] = [asyncio.create_task(desk.arrive()) for _ in range(4)]
        await asyncio.wait(rush)
        await asyncio.sleep(0.5)
    desk.go(max(len(desk.clients) - REGULARS, 0))
