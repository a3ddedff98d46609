"""REST calls have a rate for each address and user, and answers and connections a bound for each address."""

import asyncio
import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
from websockets.asyncio.client import connect

from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.time_limits import soon, within
from tests.support.tokens import SECRET, token


async def test_calls_of_one_address_have_a_rate() -> None:
    changed = {"requests.reads_per_s": 0.001, "requests.read_burst": 3, "requests.publish_burst": 2}
    changed["requests.publishes_per_s"] = 0.001
    async with running(limits=changed) as server:
        statuses, retries = [], []
        for _ in range(5):
            async with server.http.get(f"{server.url}/api/v1/limits") as answer:
                statuses.append(answer.status)
                retries.append("Retry-After" in answer.headers)
        for number in range(4):
            async with server.http.post(f"{server.url}/api/v1/news", json=raw(number)) as answer:
                statuses.append(answer.status)
        for path in ("/livez", "/readyz", "/health", "/metrics"):
            async with server.http.get(server.url + path) as answer:
                statuses.append(answer.status)
        hits = [await server.metric("news_limit_hits_total", limit=limit) for limit in ("read_rate", "publish_rate")]

    assert statuses == [*([200] * 3), 429, 429, 202, 202, 429, 429, *([200] * 4)]
    assert retries == [False, False, False, True, True]
    assert hits == [2, 2]


async def test_calls_of_this_machine_are_not_metered() -> None:
    async with running() as server:
        for _ in range(120):
            async with server.http.get(f"{server.url}/api/v1/limits") as answer:
                assert answer.status == 200


async def test_user_behind_proxies_has_a_rate() -> None:
    signed = token("alice")
    changed = {"requests.reads_per_s": 0.001, "requests.read_burst": 2}
    proxies = ("127.0.0.1",)
    async with running(limits=changed, jwt_secret=SECRET, trusted_proxies=proxies) as server:
        statuses = []
        for number in range(4):
            headers = {"Authorization": f"Bearer {signed}", "X-Forwarded-For": f"198.51.100.{number}"}
            async with server.http.get(f"{server.url}/api/v1/limits", headers=headers) as answer:
                statuses.append(answer.status)

    assert statuses == [200, 200, 429, 429]


async def test_unread_answers_of_an_address_are_bounded() -> None:
    limits = {
        "requests.max_answers_per_ip": 2,
        "requests.answer_timeout_s": 0.5,
        "history.max_page_bytes": 1_000_000,
        "requests.read_burst": 10_000,
    }
    async with running(limits=limits) as server:
        for start in range(0, 60, 10):
            await server.publish(*(raw(start + more, content=f"{more} " + "x" * 16_000) for more in range(10)))
        unread = [await ask_and_do_not_read(server) for _ in range(2)]
        statuses: set[int] = set()
        async with within():
            while await server.metric("news_limit_hits_total", limit="slow_reader") < 2:
                statuses.update(await asyncio.gather(*(status_of(server) for _ in range(8))))
        after = await status_of(server)
        refused = await server.metric("news_limit_hits_total", limit="answers")
        for client in unread:
            client.close()

    assert (503 in statuses, after) == (True, 200)
    assert refused >= 1


async def status_of(server: RunningServer) -> int:
    async with server.http.get(f"{server.url}/api/v1/limits") as answer:
        return answer.status


async def ask_and_do_not_read(server: RunningServer) -> socket.socket:
    parts, loop = urlsplit(server.url), asyncio.get_running_loop()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.setblocking(False)
    await loop.sock_connect(client, (parts.hostname, parts.port))
    await loop.sock_sendall(client, b"GET /api/v1/news?limit=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return client


HEAD = (
    b"POST /api/v1/news HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4001\r\n\r\n"
)


async def test_bodies_of_an_address_are_bounded() -> None:
    limits = {"requests.max_body_bytes_per_ip": 5_000, "requests.read_burst": 10_000}
    headers = {"Content-Type": "application/json"}
    async with running(limits=limits) as server:
        parts = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(HEAD + b" " * 4_000)
        body = json.dumps(raw(1, content="x" * 2_000))
        status, retry_after = 0, ""
        async with within():
            while status != 503:
                async with server.http.post(f"{server.url}/api/v1/news", data=body, headers=headers) as answer:
                    status, retry_after = answer.status, answer.headers.get("Retry-After", "")
        writer.write(b" ")
        assert (await soon(reader.readline())).startswith(b"HTTP/1.1 400")
        async with server.http.post(f"{server.url}/api/v1/news", data=body, headers=headers) as answer:
            assert answer.status == 202
        writer.close()
        refused = await server.metric("news_limit_hits_total", limit="body_bytes")

    assert (retry_after, refused) == ("1", 1)


async def test_http_connections_of_one_address_are_bounded() -> None:
    async with running(limits={"requests.max_connections_per_ip": 3}) as server:
        port = urlsplit(server.url).port
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with within():
            with suppress(ConnectionError):
                assert await reader.read() == b""
        for _, other in (*opened, (reader, writer)):
            other.close()
        await answered(server)
        # A connection that became a WebSocket is not counted any more.
        sockets = [await connect(f"{server.ws_url}?user_id=u{number}") for number in range(5)]
        hits = await server.metric("news_limit_hits_total", limit="http_connections")
        for one in sockets:
            await one.close()

    assert hits >= 1


async def answered(server: RunningServer) -> None:
    """Wait until the server has noticed that connections were closed, and answers a new one."""
    async with within():
        while True:
            with suppress(aiohttp.ClientError):
                async with server.http.get(f"{server.url}/readyz") as answer:
                    assert answer.status == 200
                    return
            await asyncio.sleep(0.01)
