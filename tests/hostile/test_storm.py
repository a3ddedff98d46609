"""One address that connects as fast as it can is limited, and other clients are not affected."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hostile.test_attacks import CALM_S, IS_LONG, P99_S, published_to
from tests.support.process import server_process
from tests.support.server import RunningServer
from tests.support.sockets import upgrade_request
from tests.support.time_limits import within

# All of 127.0.0.0/8 is this machine; the server distinguishes its addresses.
ATTACKER = "127.0.0.2"
A_S, BURST, MOST = 20, 60, 80
STORM_S = 6.0 if IS_LONG else 3.0
WORKERS = 8

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]


async def storm(server: RunningServer, answers: Counter[bytes], kept: list[asyncio.StreamWriter]) -> None:
    """Connect again and again, and keep every accepted connection."""
    parts = urlsplit(server.url)
    while True:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, local_addr=(ATTACKER, 0))
        kept.append(writer)
        writer.write(upgrade_request(f"/ws/news?user_id=storm-{len(kept)}"))
        head = await reader.readuntil(b"\r\n\r\n")
        answers[head.split(b" ")[1]] += 1
        if b" 101 " not in head.splitlines()[0]:
            assert b"\r\nRetry-After: " in head
            writer.close()
            kept.remove(writer)


async def test_storming_address_is_limited_and_others_served(tmp_path: Path) -> None:
    limits = {"NEWS_CONNECT_RATE_PER_IP": str(A_S), "NEWS_MAX_CONNECTIONS_PER_IP": str(MOST)}
    answers: Counter[bytes] = Counter()
    kept: list[asyncio.StreamWriter] = []
    async with server_process("--database", str(tmp_path / "news.db"), environment=limits) as process:
        async with published_to(process.server) as public:
            await asyncio.sleep(CALM_S)
            before_ms = public.p99_ms()
            began = time.monotonic()
            storming = [asyncio.create_task(storm(process.server, answers, kept)) for _ in range(WORKERS)]
            await asyncio.sleep(STORM_S)
            async with within():
                while answers[b"429"] <= answers[b"101"]:
                    await asyncio.sleep(0.1)
            for worker in storming:
                worker.cancel()
            await asyncio.gather(*storming, return_exceptions=True)
            lasted_s, during_ms = time.monotonic() - began, public.p99_ms()
            refused = await process.server.metric("news_rate_limited_total", scope="connect")
            too_many = await process.server.metric("news_handshake_failures_total", reason="address_limit")
            for writer in kept:
                writer.close()
    print(  # noqa: T201 - the table of `make hostile`
        f"\nconnection storm         {answers.total():,} tries in {lasted_s:.1f} s, {answers[b'101']} let in;"
        f" p99 of the others {before_ms:.1f} ms before, {during_ms:.1f} ms during"
    )

    assert answers.keys() <= {b"101", b"429"}
    assert answers[b"101"] <= min(MOST, BURST + A_S * lasted_s)
    assert refused + too_many >= answers[b"429"] > answers[b"101"]
    assert during_ms < P99_S * 1000
