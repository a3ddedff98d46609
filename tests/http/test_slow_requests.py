"""Slow requests: a head must be complete soon, a body must arrive at a minimum rate."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.time_limits import soon, within

HEAD_TIMEOUT_S = 0.5
BODY_RATE_BYTES_S = 100.0
HEAD = b"GET /livez HTTP/1.1\r\nHost: [::]\r\n"
POST = b"POST /api/v1/news HTTP/1.1\r\nHost: [::]\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    limits = {
        "requests.head_timeout_s": HEAD_TIMEOUT_S,
        "requests.min_body_rate_bytes_s": BODY_RATE_BYTES_S,
        "requests.body_timeout_s": 60,
    }
    async with running(limits=limits) as server:
        yield server


@pytest.fixture
async def streams(server: RunningServer) -> AsyncIterator[Streams]:
    async with opened(server) as streams:
        yield streams


@asynccontextmanager
async def opened(server: RunningServer) -> AsyncIterator[Streams]:
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    yield reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def drip(streams: Streams, drop: bytes, every_s: float) -> tuple[bytes, float]:
    """Send pieces until the server closes; return its response, and after how many seconds."""
    reader, writer = streams
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def drops() -> None:
        while True:
            writer.write(drop)
            await asyncio.sleep(every_s)

    dripping = asyncio.create_task(drops())
    said = b""
    try:
        # A piece that arrives after the server has closed is answered with a reset.
        async with within():
            with suppress(ConnectionError):
                while data := await reader.read(4_096):
                    said += data
    finally:
        dripping.cancel()
    return said, loop.time() - began


async def given_up(server: RunningServer) -> float:
    return await server.metric("news_limit_hits_total", limit="slow_request")


async def test_slow_head_is_aborted(server: RunningServer, streams: Streams) -> None:
    streams[1].write(HEAD)

    said, seconds = await drip(streams, b"x", HEAD_TIMEOUT_S / 4)

    assert said == b""
    assert seconds >= 0.9 * HEAD_TIMEOUT_S
    assert await given_up(server) == 1


@pytest.mark.parametrize("begun", [b"G", HEAD, POST.removesuffix(b"\r\n")])
async def test_slow_head_with_the_connect_is_aborted(server: RunningServer, begun: bytes) -> None:
    parts = urlsplit(server.url)
    # Sent before the server has seen the connection, which it accepts in this thread.
    client = socket.create_connection((parts.hostname or "", parts.port or 0))
    client.sendall(begun)
    reader, writer = await asyncio.open_connection(sock=client)

    async with within():
        said = await reader.read()

    assert said == b""
    assert await given_up(server) == 1
    writer.close()


async def test_slow_head_after_a_request_is_aborted(server: RunningServer, streams: Streams) -> None:
    reader, writer = streams
    writer.write(HEAD + b"\r\n")
    await reader.readuntil(b"}")
    await asyncio.sleep(2 * HEAD_TIMEOUT_S)
    writer.write(HEAD)

    await drip((reader, writer), b"X: y\r\n", HEAD_TIMEOUT_S / 4)

    assert await given_up(server) == 1


async def test_head_in_pieces_is_accepted_in_time(server: RunningServer, streams: Streams) -> None:
    reader, writer = streams
    for _ in range(2):
        for piece in (HEAD[:10], HEAD[10:], b"\r\n"):
            writer.write(piece)
            await asyncio.sleep(HEAD_TIMEOUT_S / 50)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(2 * HEAD_TIMEOUT_S)

    assert not reader.at_eof()
    assert await given_up(server) == 0


@pytest.mark.parametrize("begun", [b"", b"{"])
async def test_stalled_body_gets_a_408(server: RunningServer, streams: Streams, begun: bytes) -> None:
    streams[1].write(POST)

    said, _ = await drip(streams, begun, HEAD_TIMEOUT_S / 4)

    assert said.startswith(b"HTTP/1.1 408")
    assert b"after 0.5 s it must arrive at 100 bytes a second or more, and be complete within 60 s" in said
    assert await given_up(server) == 1


async def test_steady_slow_body_is_read(server: RunningServer, streams: Streams) -> None:
    reader, writer = streams
    writer.write(POST)
    for _ in range(10):
        writer.write(b"x" * 100)
        await asyncio.sleep(10 / BODY_RATE_BYTES_S)

    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
    assert await given_up(server) == 0


async def test_unread_answer_is_aborted() -> None:
    async with running(limits={"requests.answer_timeout_s": 0.5, "history.max_page_bytes": 1_000_000}) as server:
        for start in range(0, 60, 10):
            await server.publish(*(raw(start + more, content=f"{more} " + "x" * 16_000) for more in range(10)))
        parts, loop = urlsplit(server.url), asyncio.get_running_loop()
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.setblocking(False)
        await loop.sock_connect(client, (parts.hostname, parts.port))
        await loop.sock_sendall(client, b"GET /api/v1/news?limit=60 HTTP/1.1\r\nHost: [::]\r\n\r\n")

        async with within():
            while await server.metric("news_limit_hits_total", limit="slow_reader") == 0:
                await asyncio.sleep(0.05)
        client.close()


async def test_total_body_time_is_limited() -> None:
    limits = {"requests.head_timeout_s": 0.2, "requests.min_body_rate_bytes_s": 1.0, "requests.body_timeout_s": 1.2}
    async with running(limits=limits) as server, opened(server) as streams:
        streams[1].write(POST.replace(b"1000", b"99999"))
        said, seconds = await drip(streams, b"x" * 100, 0.1)

    assert said.startswith(b"HTTP/1.1 408")
    assert seconds >= 1.2


async def test_body_in_tiny_chunks_is_read_in_pieces(server: RunningServer, streams: Streams) -> None:
    reader, writer = streams
    body = json.dumps(raw(1, content="x" * 3_000)).encode()
    head = b"POST /api/v1/news HTTP/1.1\r\nHost: [::]\r\nContent-Type: application/json\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    # A second request right behind it, in the same bytes.
    writer.write(b"GET /livez HTTP/1.1\r\nHost: [::]\r\n\r\n")

    assert (await soon(reader.readuntil(b"\r\n\r\n"))).startswith(b"HTTP/1.1 202")
    assert b"HTTP/1.1 200" in await soon(reader.readuntil(b"alive"))
