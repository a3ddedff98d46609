"""The v2 protocol and resuming, over sockets with other libraries' clients."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.sockets import connected
from tests.support.time_limits import soon

EVERYTHING = "filters=" + quote(json.dumps({"impact_threshold": 0}))


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await soon(socket.recv()))


async def items(socket: ClientConnection, count: int) -> list[Any]:
    """Return `count` items; other messages are skipped."""
    found: list[Any] = []
    while len(found) < count:
        message = await receive(socket)
        if message["type"] == "news_item":
            found.append(message)
    return found


def url(server: RunningServer, *query: str) -> str:
    return f"{server.ws_url}?{'&'.join(('user_id=u', EVERYTHING, *query))}"


async def epoch(server: RunningServer) -> str:
    return str((await server.get("/api/v1/stats"))["epoch"])


@pytest.mark.parametrize("ways", [{"subprotocols": [Subprotocol("other"), Subprotocol("news.v2.json")]}, {}])
async def test_welcome_comes_first(server: RunningServer, ways: dict[str, Any]) -> None:
    await server.publish(raw(1), raw(2))
    async with connect(url(server, *([] if ways else ["v=2"])), **ways) as socket:
        welcome = await receive(socket)
        chosen = socket.subprotocol

    assert chosen == ("news.v2.json" if ways else None)
    assert welcome["type"] == "welcome"
    assert (welcome["protocol"], welcome["user_id"], welcome["seq"], welcome["oldest_seq"]) == ("news.v2", "u", 2, 1)
    assert welcome["epoch"] == await epoch(server)
    assert (welcome["recovered"], welcome["reason"], welcome["channels"]) == (False, None, ["default"])
    assert (welcome["heartbeat_ms"], welcome["limits"]["channels"]) == (15_000, 32)


async def test_classic_client_gets_no_v2_messages(server: RunningServer) -> None:
    async with connect(url(server)) as socket:
        await server.publish(raw(1))
        message = await receive(socket)

    assert message["type"] == "news_item"


async def test_client_resumes_after_its_position(server: RunningServer) -> None:
    await server.publish(*map(raw, range(1, 301)))
    while await server.metric("news_broadcast_sequence") < 300:
        await asyncio.sleep(0.01)
    async with connect(url(server, "v=2", f"resume={await epoch(server)}:120")) as socket:
        welcome = await receive(socket)
        replayed = await items(socket, 180)
        live = await receive(socket)
        while live["type"] == "keep_alive":
            live = await receive(socket)
        await server.publish(raw(301))
        [new] = await items(socket, 1)

    assert welcome["recovered"] is True
    assert [message["seq"] for message in replayed] == list(range(121, 301))
    assert all(message["replay"] for message in replayed)
    assert (live["type"], live["seq"], live["replayed"]) == ("live", 300, 180)
    assert new["seq"] == 301
    assert "replay" not in new
    assert await server.metric("news_resumes_total", result="complete") == 1
    assert await server.metric("news_replayed_items_total") == 180


async def test_client_resumes_across_a_restart(tmp_path: Path) -> None:
    database = str(tmp_path / "news.db")
    async with running(database=database) as server:
        await server.publish(*map(raw, range(1, 31)))
        position = f"{await epoch(server)}:10"
    async with running(database=database) as server:
        async with connect(url(server, f"resume={position}")) as socket:
            replayed = await items(socket, 20)

    assert [message["seq"] for message in replayed] == list(range(11, 31))


@pytest.mark.parametrize(("query", "seqs"), [("last=3", [8, 9, 10]), ("since=0", list(range(1, 11)))])
async def test_client_starts_at_last_items_or_time(server: RunningServer, query: str, seqs: list[int]) -> None:
    await server.publish(*map(raw, range(1, 11)))
    async with connect(url(server, query)) as socket:
        replayed = await items(socket, len(seqs))

    assert [message["seq"] for message in replayed] == seqs


BAD = [
    ("resume=x", 400, "invalid_parameter", "resume"),
    ("resume=a:1&last=2", 400, "invalid_parameter", "resume"),
    ("last=0", 400, "invalid_parameter", "last"),
    ("since=soon", 400, "invalid_parameter", "since"),
    ("v=3", 400, "invalid_parameter", "v"),
    ("v=2&channel=a", 400, "invalid_parameter", "channel"),
    ("v=2&lst=5", 400, "invalid_parameter", "lst"),
    ("channels=", 400, "invalid_parameter", "channels"),
    ("channels=,", 400, "invalid_parameter", "channels"),
    ("channels=a,b%20c", 400, "invalid_parameter", "channels"),
    ("channels=nobody-stored-it", 404, "unknown_channel", "channel"),
    ("resume=other:1&resume_required=1", 410, "resume_expired", ""),
]


@pytest.mark.parametrize(("query", "status", "code", "parameter"), BAD)
async def test_impossible_requests_are_refused_before_upgrade(
    server: RunningServer, query: str, status: int, code: str, parameter: str
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"{server.ws_url}?user_id=u&{query}"):
            pass

    answer = caught.value.response
    document = json.loads(answer.body or b"")
    assert (answer.status_code, document["code"]) == (status, code)
    assert parameter in [error["pointer"] for error in document.get("errors", [{"pointer": ""}])]
    assert (await server.get("/api/v1/stats"))["connected_users"] == 0


async def test_acks_survive_restart_and_unacked_items_repeat(tmp_path: Path) -> None:
    database = str(tmp_path / "news.db")
    query = ("ack=1", "device_id=laptop", "v=2")
    async with running(database=database) as server:
        async with connect(url(server, *query)) as socket:
            await receive(socket)
            await server.publish(*map(raw, range(1, 6)))
            await items(socket, 5)
            await socket.send(json.dumps({"type": "ack", "seq": 3, "id": 1}))
            assert await receive(socket) == {"type": "acked", "id": 1, "seq": 3}
    async with running(database=database) as server:
        async with connect(url(server, *query)) as socket:
            welcome = await receive(socket)
            again = await items(socket, 2)

    assert welcome["recovered"] is True
    assert [message["seq"] for message in again] == [4, 5]


async def test_preempted_connection_is_told(server: RunningServer) -> None:
    query = ("device_id=laptop", "v=2")
    async with connect(url(server, *query)) as old:
        await receive(old)
        async with connect(url(server, *query)) as new:
            welcome = await receive(new)
            preempted = await receive(old)
            with pytest.raises(ConnectionClosed):
                await receive(old)

    assert preempted == {"type": "preempted", "by": welcome["connection_id"]}
    assert old.close_code == 4504


async def test_v2_client_gets_reconnect_advice() -> None:
    async with running() as server:
        async with connect(url(server, "v=2")) as v2, connect(f"{server.ws_url}?user_id=classic") as classic:
            await receive(v2)
            await server.publish(raw(1))
            await items(v2, 1)
            await receive(classic)
            position = f"{await epoch(server)}:1"
            server.stopping.set()
            advice = await receive(v2)
            for socket in (v2, classic):
                with pytest.raises(ConnectionClosed):
                    await receive(socket)

    assert (advice["type"], advice["reason"], advice["resume"]) == ("reconnect", "restart", position)
    assert 1_000 <= advice["after_ms"] <= 1_100
    assert v2.close_code == classic.close_code == 1012


async def test_stored_channels_are_requested_in_the_url(server: RunningServer) -> None:
    async with connect(url(server)) as socket:
        await socket.send(
            json.dumps({"type": "subscribe", "id": 1, "channel": "btc", "filters": {"keywords": ["coin"]}})
        )
        await receive(socket)
    async with connect(f"{server.ws_url}?user_id=u&channels=btc&v=2") as socket:
        welcome = await receive(socket)
        await server.publish(raw(1, impact_score=90, title="A coin"), raw(2, impact_score=90))
        [first] = await items(socket, 1)

    assert welcome["channels"] == ["btc"]
    assert first["channels"] == ["btc"]


async def test_stalled_client_falls_behind_and_gets_everything(server: RunningServer) -> None:
    long = "x" * 16_000
    raw_socket = await connected(server.url, receive_buffer_bytes=65_536)
    async with connect(url(server, "v=2"), sock=raw_socket, max_queue=1, compression=None) as slow:
        await receive(slow)
        # Nothing is read for as long as this takes: the kernel's buffers fill, then ours, and the rest stays in the
        # log.
        for start in range(1, 101, 10):
            await server.publish(*(raw(number, content=long) for number in range(start, start + 10)))
        lagging = await server.metric("news_connection_phases", phase="lagging")
        waiting = await server.metric("news_send_buffer_bytes")
        got = await items(slow, 100)
        # Unread bytes delay the close frame.
        while (await receive(slow))["type"] != "live":
            pass

    assert lagging == 1
    assert waiting < 300_000
    assert [message["seq"] for message in got] == list(range(1, 101))
    times_behind = await server.metric("news_slow_consumers_total", action="lagging")
    assert times_behind == await server.metric("news_slow_consumers_total", action="caught_up") > 0
