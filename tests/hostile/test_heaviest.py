"""The heaviest user that the limits allow: the largest filter, the longest items, every replay and every call at once.

Nothing here is forbidden, so the user is not disconnected, but the limits of one address hold: calls beyond them are
refused. The others must hardly notice it. The last tests read nothing.
"""

import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import pytest

from tests.hostile.test_attacks import CALM_S, MEMORY_BYTES, P99_S, published_to
from tests.support.items import raw
from tests.support.process import server_process
from tests.support.server import RunningServer
from tests.support.sockets import upgrade_request
from tests.support.time_limits import within

IS_LONG = os.environ.get("HOSTILE") == "long"
ITEMS = 1_000 if IS_LONG else 200
BUSY_S = 6.0 if IS_LONG else 1.0
STREAMS = 8
# What one address may hold, over all doors.
MAX_HELD_BYTES = 64 * 1024 * 1024
UNREAD = 40
GET_PAGE = b"GET /api/v1/news?limit=500 HTTP/1.1\r\nHost: [::]\r\n\r\n"
NDJSON = "application/x-ndjson"

# Not from this machine, whose callers are not metered.
SOMEWHERE = {"X-Forwarded-For": "203.0.113.9"}

pytestmark = [pytest.mark.process, pytest.mark.time_limit(180)]

WORDS = [f"word{number}" for number in range(400)]
# 200 keywords of two words, half of which occur in every item.
KEYWORDS = [f"{WORDS[number]} {WORDS[number + 1]}" for number in range(100)]
KEYWORDS += [f"{WORDS[number]} never{number}*" for number in range(100)]
FILTERS = {"impact_threshold": 0, "keywords": KEYWORDS}


def long_item(number: int) -> dict[str, object]:
    """Return an item of the greatest length, with all words of the filter."""
    text = " ".join(WORDS[(number + place) % len(WORDS)] for place in range(2_000))
    return raw(number, content=text[:16_000], published_at=time.time() - number, impact_score=90)


async def heavy_server(server: RunningServer) -> None:
    """Store the items and the filter of the heavy user."""
    for first in range(10_000, 10_000 + ITEMS, 10):
        await server.publish(*map(long_item, range(first, first + 10)))
    await server.subscribe("heavy", **FILTERS)


async def test_heaviest_user_hardly_delays_others(tmp_path: Path) -> None:
    arguments = ("--database", str(tmp_path / "news.db"), "--trusted-proxies", "127.0.0.1")
    async with server_process(*arguments) as running:
        server = running.server
        await heavy_server(server)
        epoch = (await server.get("/api/v1/stats"))["epoch"]
        newest = (await server.get("/api/v1/news?limit=1"))["items"][0]["id"]
        async with published_to(server) as public, aiohttp.ClientSession(headers=SOMEWHERE) as http:
            await asyncio.sleep(CALM_S)
            before_ms = public.p99_ms()
            memory = await server.metric("process_resident_memory_bytes")
            until = time.monotonic() + BUSY_S
            calls = await asyncio.gather(
                *(replay(http, server, epoch, until) for _ in range(4)),
                *(repeat(call, until) for call in calls_of(http, server, newest) for _ in range(STREAMS)),
            )
            during_ms = public.p99_ms()
            grown = await server.metric("process_resident_memory_bytes") - memory
    print(  # noqa: T201 - a line of `make hostile`
        f"\nheaviest user: {sum(calls)} calls in {BUSY_S:g} s; p99 of the others {before_ms:.1f} ms before,"
        f" {during_ms:.1f} ms during; memory {grown / 1e6:+.1f} MB"
    )

    assert all(calls)
    assert during_ms < P99_S * 1000
    assert grown < MAX_HELD_BYTES


def calls_of(http: aiohttp.ClientSession, server: RunningServer, item_id: str) -> list[Callable[[], Awaitable[int]]]:
    """Return every call of the REST API that reads items, filters or connections."""

    def get(path: str) -> Callable[[], Awaitable[int]]:
        async def call() -> int:
            async with http.get(f"{server.url}/api/v1/{path}") as answer:
                await answer.read()
                return answer.status

        return call

    async def preview() -> int:
        window = {**FILTERS, "hours": 168}
        async with http.post(f"{server.url}/api/v1/subscriptions/preview", json=window) as answer:
            await answer.read()
            return answer.status

    paths = (
        *("news?user_id=heavy&limit=500", "news?limit=500", "news?person=powell&limit=500", "stats", "limits"),
        *(f"news/{item_id}", f"news/{item_id}/explain?user_id=heavy", "subscriptions/heavy", "connections?limit=1000"),
    )
    return [*map(get, paths), preview]


async def repeat(call: Callable[[], Awaitable[int]], until: float) -> int:
    """Call again and again, and return how often. A call that a limit refuses is repeated later, as its answer says."""
    answered = 0
    while time.monotonic() < until or not answered:
        status = await call()
        assert status in (200, 429, 503)
        answered += 1
        if status != 200:
            await asyncio.sleep(1.0)
    return answered


async def replay(http: aiohttp.ClientSession, server: RunningServer, epoch: str, until: float) -> int:
    """Read everything from the start of the log, again and again, and return how often."""
    filters = quote(json.dumps({"impact_threshold": 0, "keywords": KEYWORDS[:20]}))
    url = f"{server.url}/ws/news?user_id=heavy&v=2&resume={epoch}:0&filters={filters}"
    times = 0
    while time.monotonic() < until or not times:
        async with http.ws_connect(url) as client, within():
            while (await client.receive_json())["type"] != "live":
                pass
        times += 1
    return times


async def test_one_address_holds_little_memory(tmp_path: Path) -> None:
    """One address uses every door at once, as much as its limits allow, and reads nothing."""
    limits = {"NEWS_LIMITS": "connections.connect_burst=1000,requests.max_connections_per_ip=200"}
    environment = {**limits, "NEWS_MAX_CONNECTIONS_PER_IP": "100"}
    async with server_process("--database", str(tmp_path / "news.db"), environment=environment) as running:
        server = running.server
        await heavy_server(server)
        epoch = (await server.get("/api/v1/stats"))["epoch"]
        memory = await server.metric("process_resident_memory_bytes")
        body = b"x" * 262_000
        head = f"POST /api/v1/news HTTP/1.1\r\nHost: [::]\r\nContent-Type: {NDJSON}\r\nContent-Length: 262001\r\n\r\n"
        replays = [upgrade_request(f"/ws/news?user_id=u{number}&resume={epoch}:0&v=2") for number in range(100)]
        held = []
        clients = [await unread(server, request) for request in replays]
        for requests in ([head.encode() + body] * 160, [GET_PAGE] * 2 * UNREAD):
            clients += await asyncio.gather(*(unread(server, request) for request in requests))
            await asyncio.sleep(1.0)
            held.append(await server.metric("process_resident_memory_bytes") - memory)
        hits = {limit: await server.metric("news_limit_hits_total", limit=limit) for limit in ("answers", "body_bytes")}
        for client in clients:
            client.close()
    print(f"\none address over all doors: {max(held) / 1e6:+.1f} MB")  # noqa: T201 - a line of `make hostile`

    assert max(held) < MAX_HELD_BYTES
    assert hits["body_bytes"] > 0


async def unread(server: RunningServer, request: bytes) -> socket.socket:
    """Send a request, as much of it as the server takes, and do not read its answer."""
    parts, loop = urlsplit(server.url), asyncio.get_running_loop()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.setblocking(False)
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(3.0):
            await loop.sock_connect(client, (parts.hostname, parts.port))
            await loop.sock_sendall(client, request)
    return client


async def test_unread_answers_hold_little_memory(tmp_path: Path) -> None:
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        server = running.server
        await heavy_server(server)
        memory = await server.metric("process_resident_memory_bytes")
        readers = [await unread(server, GET_PAGE) for _ in range(UNREAD)]
        await asyncio.sleep(1.0)
        held = await server.metric("process_resident_memory_bytes") - memory
        async with within():
            # Ten seconds later the first are aborted. Most calls were refused, because too many searches waited.
            while await server.metric("news_limit_hits_total", limit="slow_reader") == 0:
                await asyncio.sleep(0.1)
        for client in readers:
            client.close()
    print(f"\n{UNREAD} unread answers: {held / 1e6:+.1f} MB")  # noqa: T201 - a line of `make hostile`

    assert held < MAX_HELD_BYTES
    assert MEMORY_BYTES < MAX_HELD_BYTES
