"""Each attack beside fifty clients: it is stopped in time, and the others are hardly delayed."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.hostile.attacks import ATTACKS, Attack, Streams
from tests.support.crowd import CountingClient, join
from tests.support.items import raw
from tests.support.process import server_process
from tests.support.server import RunningServer
from tests.support.time_limits import scaled

IS_LONG = os.environ.get("HOSTILE") == "long"
GONE_WITHIN_S = 2.0 if IS_LONG else scaled(30)
CLIENTS = 50
ITEMS_A_S = 20
CALM_S = 1.0 if IS_LONG else 0.3
# A bound for any machine; `make hostile` prints the measured values.
P99_S = 1.0 if IS_LONG else scaled(10)
MEMORY_BYTES = 32 * 1024 * 1024

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]


class Public:
    """Clients that count, and a publisher."""

    def __init__(self, server: RunningServer, clients: Sequence[CountingClient]) -> None:
        self._server = server
        self._clients = clients
        self._published = 0
        self.is_over = False

    async def publish(self) -> None:
        """Publish until stopped."""
        while not self.is_over:
            self._published += 1
            await self._server.publish(raw(self._published, published_at=time.time(), impact_score=90))
            await asyncio.sleep(1 / ITEMS_A_S)

    def p99_ms(self) -> float:
        """Return the 99th percentile of the time from publish to receipt since the last `forget`."""
        ages = sorted(age for client in self._clients for age in client.ages_s)
        self.forget()
        return ages[int(len(ages) * 0.99)] * 1000

    def forget(self) -> None:
        """Forget the measurements so far."""
        for client in self._clients:
            client.ages_s.clear()

    async def has_everything(self) -> bool:
        """Return whether every client got every item exactly once."""
        for _ in range(200):
            if all(client.items == self._published for client in self._clients):
                return True
            await asyncio.sleep(0.02)
        return False


@asynccontextmanager
async def published_to(server: RunningServer) -> AsyncIterator[Public]:
    # Garbage of earlier tests must not be collected while latencies are measured.
    gc.collect()
    gc.freeze()
    clients = [await join(server.ws_url, f"victim-{number}") for number in range(CLIENTS)]
    public = Public(server, clients)
    publishing = asyncio.create_task(public.publish())
    try:
        yield public
        public.is_over = True
        await publishing
        assert await public.has_everything()
    finally:
        gc.unfreeze()
        publishing.cancel()
        for client in clients:
            client.close()


async def assault(streams: Streams, attack: Attack) -> float:
    """Send until the server closes the TCP connection; return the seconds that took."""
    reader, writer = streams
    began = time.monotonic()

    async def attack_on() -> None:
        while True:
            writer.write(attack.volley)
            await writer.drain()
            await asyncio.sleep(attack.pause_s)

    attacking = asyncio.create_task(attack_on())
    try:
        async with asyncio.timeout(GONE_WITHIN_S + 5):
            with suppress(ConnectionError):
                while await reader.read(65_536):
                    pass
    finally:
        attacking.cancel()
        await asyncio.gather(attacking, return_exceptions=True)
        writer.close()
    return time.monotonic() - began


async def suffer(server: RunningServer, public: Public, attack: Attack) -> list[str]:
    """Run an attack, and return what was wrong."""
    metric, labels = attack.refused
    public.forget()
    await asyncio.sleep(CALM_S)
    before_ms = public.p99_ms()
    memory = await server.metric("process_resident_memory_bytes")
    counted = await server.metric(metric, **labels) if metric else 0.0
    gone_s = await assault(await attack.begin(server), attack)
    # However soon it ended: its consequences are measured now.
    await asyncio.sleep(CALM_S)
    during_ms = public.p99_ms()
    grown = await server.metric("process_resident_memory_bytes") - memory
    counted = await server.metric(metric, **labels) - counted if metric else 1.0
    print(  # noqa: T201 - the table of `make hostile`
        f"\n{attack.name:24} gone after {gone_s:5.2f} s; p99 of the others {before_ms:5.1f} ms before,"
        f" {during_ms:5.1f} ms during; memory {grown / 1e6:+5.1f} MB"
    )
    wrong = {
        f"gone after {gone_s:.1f} s": gone_s >= GONE_WITHIN_S,
        f"p99 {during_ms:.0f} ms": during_ms >= P99_S * 1000,
        f"memory grew by {grown:,.0f}": grown >= MEMORY_BYTES,
        f"counted {counted:g} times": counted != 1,
    }
    return [f"{attack.name}: {what}" for what, is_wrong in wrong.items() if is_wrong]


async def test_attackers_are_stopped_and_others_served(tmp_path: Path) -> None:
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        async with published_to(running.server) as public:
            wrong = [what for attack in ATTACKS for what in await suffer(running.server, public, attack)]

    assert wrong == []
