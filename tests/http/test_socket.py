"""The WebSocket endpoint with other libraries' clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiosqlite
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from app.core.errors import ErrorCode, ServerError
from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.sockets import masked, open_raw
from tests.support.time_limits import soon, within

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await soon(socket.recv()))


async def ask(socket: ClientConnection, message: object) -> Any:
    await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
    return await receive(socket)


async def settled(socket: ClientConnection) -> None:
    """Wait until the server has read everything that was sent before."""
    assert (await ask(socket, {"type": "ping", "id": "settled"}))["id"] == "settled"


async def test_first_answer_is_to_the_first_message(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        answer = await ask(socket, {"type": "ping"})

    assert answer["type"] == "pong"
    assert isinstance(answer["timestamp"], float)


async def test_pong_returns_what_the_ping_carried(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        answer = await ask(socket, {"type": "ping", "t": 1.25, "id": 7})

    assert (answer["t"], answer["id"], answer["seq"]) == (1.25, 7, 0)


async def test_user_without_subscription_gets_everything(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        [receipt] = await server.publish(raw(impact_score=1))
        message = await receive(socket)

    assert (message["type"], message["seq"]) == ("news_item", receipt["seq"])
    assert message["data"]["id"] == receipt["id"]
    assert message["data"]["impact_score"] == 1


async def test_stored_subscription_filters(server: RunningServer) -> None:
    await server.subscribe("u", impact_threshold=50)
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        await server.publish(raw(1, impact_score=10), raw(2, impact_score=90))

        assert (await receive(socket))["data"]["title"] == "Story 2"


async def test_subscribe_is_stored_and_live_at_once(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        await socket.send('{"type":"subscribe","filters":{"impact_threshold":50,"min_impact":75}}')
        await settled(socket)
        await server.publish(raw(1, impact_score=10), raw(2, impact_score=90))

        assert (await receive(socket))["data"]["title"] == "Story 2"
    assert (await server.get("/api/v1/subscriptions/u"))["impact_threshold"] == 50


async def test_subscribe_with_id_is_confirmed_in_normal_form(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        answer = await ask(socket, {"type": "subscribe", "id": 1, "filters": {"categories": ["CRYPTO"], "colour": 1}})
        again = await ask(socket, {"type": "subscribe", "id": 2})

    assert (answer["type"], answer["id"], answer["channel"]) == ("subscribed", 1, "default")
    assert answer["filters"]["categories"] == ["crypto"]
    assert answer["filters"]["impact_threshold"] == 70
    assert answer["warnings"] == [{"pointer": "/filters/colour", "detail": "unknown key, ignored"}]
    assert again["filters"] == answer["filters"]


async def test_rest_change_reaches_all_connections(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as one, connect(f"{server.ws_url}?user_id=u") as other:
        await server.subscribe("u", impact_threshold=50)
        await server.publish(raw(1, impact_score=10), raw(2, impact_score=90))
        titles = {(await receive(socket))["data"]["title"] for socket in (one, other)}

        async with server.http.delete(f"{server.url}/api/v1/subscriptions/u"):
            await server.publish(raw(3, impact_score=10))
        after = await receive(one)

    assert titles == {"Story 2"}
    assert after["data"]["title"] == "Story 3"


async def test_url_filter_applies_to_that_connection_only(server: RunningServer) -> None:
    await server.subscribe("u", impact_threshold=90)
    query = urlencode({"user_id": "u", "filters": json.dumps({"impact_threshold": 0, "keywords": ["two"]})})
    async with connect(f"{server.ws_url}?{query}") as own, connect(f"{server.ws_url}?user_id=u") as stored:
        await server.publish(raw(1, title="one", impact_score=95), raw(2, title="two", impact_score=5))

        assert (await receive(own))["data"]["title"] == "two"
        assert (await receive(stored))["data"]["title"] == "one"
        await own.send('{"type":"subscribe"}')
        await settled(own)
        await server.publish(raw(3, title="two three", impact_score=5), raw(4, title="four", impact_score=95))
        assert (await receive(own))["data"]["title"] == "four"


BAD_MESSAGES = [
    ("nonsense", "invalid_json"),
    ("[]", "invalid_message"),
    ('{"type":"ping","type":"ping"}', "invalid_json"),
    ("[" * 5_000, "invalid_json"),
    ('{"type":"ping","t":NaN}', "invalid_json"),
    ('{"type":"dance"}', "unknown_type"),
    ('{"no":"type"}', "invalid_message"),
    ('{"type":"subscribe","filters":5}', "invalid_filter"),
    ('{"type":"subscribe","filters":{"impact_threshold":"high","keywords":[1]}}', "invalid_filter"),
    ('{"type":"unsubscribe","channel":"btc"}', "unknown_channel"),
]


@pytest.mark.parametrize(("message", "code"), BAD_MESSAGES)
async def test_bad_message_gets_an_error_and_connection_stays(server: RunningServer, message: str, code: str) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        error = await ask(socket, message)
        await settled(socket)

    assert (error["type"], error["code"]) == ("error", code)
    assert error["message"]
    assert isinstance(error["timestamp"], float)


async def test_invalid_json_gets_the_originals_text(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        error = await ask(socket, "{")

    assert error["message"] == "Invalid JSON"
    assert error["errors"][0]["detail"]


CLOSING = [
    (b"\x00binary", 1003, "unsupported_data"),
    ("x" * 16_385, 1009, "message_too_big"),
]


@pytest.mark.parametrize(("message", "code", "reason"), CLOSING)
async def test_unanswerable_frames_close_with_their_code(
    server: RunningServer, message: str | bytes, code: int, reason: str
) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        await socket.send(message)
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await receive(socket)

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
    assert await server.metric("news_connections_closed_total", reason=reason) == 1


async def test_message_of_exactly_the_limit_is_read(server: RunningServer) -> None:
    ping = '{"type":"ping","pad":""}'
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        answer = await ask(socket, ping.replace('""', f'"{"x" * (16_384 - len(ping))}"'))

    assert answer["type"] == "pong"


async def test_fragments_with_control_frames_are_one_message(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:

        async def fragments() -> AsyncIterator[str]:
            yield '{"type":'
            await soon(await socket.ping(b"between"))
            yield '"ping","t":"frag'
            yield 'mented"}'

        await socket.send(fragments())
        answer = await receive(socket)

    assert answer["t"] == "fragmented"


async def test_protocol_pings_are_answered_with_their_payload(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        await soon(await socket.ping(b"payload"))


async def test_client_close_is_answered(server: RunningServer) -> None:
    socket = await connect(f"{server.ws_url}?user_id=u")

    await socket.close(1000)

    assert socket.close_code == 1000
    assert await server.metric("news_connections_closed_total", reason="client") == 1
    assert await server.metric("news_connections") == 0
    assert await server.metric("news_filter_slots") == 0


async def test_vanished_client_is_released(server: RunningServer) -> None:
    socket = await connect(f"{server.ws_url}?user_id=u")
    socket.transport.abort()

    while await server.metric("news_connections"):
        await asyncio.sleep(0.01)

    assert await server.metric("news_connections_closed_total", reason="network") == 1


async def test_messages_are_answered_in_order(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        for number in range(10):
            kind = "subscribe" if number % 2 else "ping"
            await socket.send(json.dumps({"type": kind, "id": number, "filters": {}}))

        assert [(await receive(socket))["id"] for _ in range(10)] == list(range(10))


async def test_flooding_client_is_refused_and_then_closed(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as flooder, connect(f"{server.ws_url}?user_id=v") as other:
        for _ in range(100):
            await flooder.send('{"type":"ping"}')
        answers: list[dict[str, Any]] = []
        with pytest.raises(websockets.ConnectionClosed) as caught:
            while True:
                answers.append(await receive(flooder))
        await settled(other)

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4029, "rate_limited;retry_after_ms=30000")
    refused = [answer for answer in answers if answer["type"] == "error"]
    assert refused
    assert all(answer["code"] == "rate_limited" and answer["retryable"] for answer in refused)


REFUSED: list[tuple[str, dict[str, str], int, str]] = [
    ("?user_id=u", {}, 426, "upgrade_required"),
    ("", UPGRADE, 400, "invalid_parameter"),
    ("?user_id=", UPGRADE, 400, "invalid_parameter"),
    ("?user_id=a%20b", UPGRADE, 400, "invalid_parameter"),
    ("?user_id=" + "a" * 257, UPGRADE, 400, "invalid_parameter"),
    ("?user_id=u%0A", UPGRADE, 400, "invalid_parameter"),
    ("?user_id=u", {**UPGRADE, "Sec-WebSocket-Version": "12"}, 400, "invalid_parameter"),
    ("?user_id=u", {**UPGRADE, "Sec-WebSocket-Key": "short"}, 400, "invalid_parameter"),
    ("?user_id=u&filters={", UPGRADE, 400, "invalid_json"),
    ("?user_id=u&filters=[]", UPGRADE, 422, "invalid_filter"),
    ('?user_id=u&filters={"impact_threshold":700}', UPGRADE, 422, "invalid_filter"),
]


@pytest.mark.parametrize(("query", "headers", "status", "code"), REFUSED)
async def test_upgrade_is_refused_by_status(
    server: RunningServer, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with server.http.get(f"{server.url}/ws/news{query}", headers=headers) as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["code"], problem["status"]) == (status, code, status)
    is_about_version = status == 426 or problem.get("errors", [{}])[0].get("pointer") == "Sec-WebSocket-Version"
    assert answer.headers.get("Sec-WebSocket-Version") == ("13" if is_about_version else None)
    assert await server.metric("news_connections_opened_total") == 0
    assert await server.metric("news_users") == 0


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
async def test_other_methods_are_refused(server: RunningServer, method: str) -> None:
    async with server.http.request(method, f"{server.url}/ws/news?user_id=u", headers=UPGRADE) as answer:
        assert answer.status == 405


async def test_http_1_0_is_refused(server: RunningServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        "GET /ws/news?user_id=u HTTP/1.0",
        "Host: localhost",
        *(f"{key}: {value}" for key, value in UPGRADE.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())

    status = await soon(reader.readline())
    writer.close()

    assert b" 426 " in status


async def test_user_has_at_most_five_connections(server: RunningServer) -> None:
    url = f"{server.ws_url}?user_id=u"
    sockets = [await connect(url) for _ in range(5)]

    with pytest.raises(websockets.InvalidStatus) as caught:
        await connect(url)
    await sockets[0].close()
    again = await connect(url)

    assert caught.value.response.status_code == 429
    assert int(caught.value.response.headers["Retry-After"]) >= 1
    assert await server.metric("news_handshake_failures_total", reason="user_limit") == 1
    for socket in (again, *sockets[1:]):
        await socket.close()


async def test_returning_device_replaces_its_connection(server: RunningServer) -> None:
    url = f"{server.ws_url}?user_id=u&device_id=laptop"
    async with connect(url) as old, connect(url) as new:
        await server.publish(raw(1, impact_score=90))
        assert (await receive(new))["seq"] == 1
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await old.recv()

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4504, "replaced")
    closed = await server.get("/api/v1/connections?state=closed")
    assert [one["device_id"] for one in closed["connections"]] == ["laptop"] * closed["total"]


async def test_policy_one_allows_one_connection() -> None:
    async with running(connection_policy="one") as server, connect(f"{server.ws_url}?user_id=u") as first:
        async with connect(f"{server.ws_url}?user_id=u"):
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await first.recv()
            assert await server.metric("news_connections_closed_total", reason="replaced") == 1

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4504


async def test_ghost_blocks_its_user_for_seconds_only(server: RunningServer) -> None:
    """The ghosts are sockets that are never read, so no pong ever comes."""
    ghosts = [await open_raw(server.ws_url, "u") for _ in range(5)]
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(f"{server.ws_url}?user_id=u")
    async with within():
        while not await is_let_in(server, "u"):
            await asyncio.sleep(0.1)

    assert refused.value.response.status_code == 429
    for ghost in ghosts:
        ghost.close()


async def is_let_in(server: RunningServer, user: str) -> bool:
    try:
        async with connect(f"{server.ws_url}?user_id={user}"):
            return True
    except websockets.InvalidStatus:
        return False


async def test_full_server_refuses_with_503() -> None:
    async with running(max_connections=1) as server, connect(f"{server.ws_url}?user_id=a"):
        with pytest.raises(websockets.InvalidStatus) as caught:
            await connect(f"{server.ws_url}?user_id=b")

        assert caught.value.response.status_code == 503
        assert (await server.http.get(f"{server.url}/readyz")).status == 503


async def test_early_bytes_after_handshake_are_read(server: RunningServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        "GET /ws/news?user_id=u HTTP/1.1",
        "Host: localhost",
        *(f"{key}: {value}" for key, value in UPGRADE.items()),
    ]
    payload = b'{"type":"ping"}'
    frame = bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload

    writer.write("\r\n".join([*lines, "", ""]).encode() + frame)

    head = await soon(reader.readuntil(b"\r\n\r\n"))
    assert b"101" in head
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert b'"pong"' in await soon(reader.read(200))
    writer.close()


async def speak(server: RunningServer, *frames: bytes) -> bytes:
    """Upgrade, send raw bytes, and return everything that arrives until the server closes."""
    raw_socket = await open_raw(server.ws_url, "rude")
    loop = asyncio.get_running_loop()
    for frame in frames:
        await loop.sock_sendall(raw_socket, frame)
    received = b""
    async with within():
        while chunk := await loop.sock_recv(raw_socket, 65_536):
            received += chunk
    raw_socket.close()
    return received


async def test_unmasked_frame_is_a_protocol_error(server: RunningServer) -> None:
    assert await speak(server, b'\x81\x0f{"type":"ping"}') == b"\x88\x10\x03\xeaprotocol_error"


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 2000, 5000, 65_535])
async def test_invalid_close_code_is_not_echoed(server: RunningServer, code: int) -> None:
    answer = await speak(server, b"\x88\x82\0\0\0\0" + code.to_bytes(2, "big"))

    assert answer.startswith(b"\x88")
    assert answer[2:4] == (1002).to_bytes(2, "big")


async def test_upgrade_to_another_protocol_is_refused(server: RunningServer) -> None:
    headers = {**UPGRADE, "Upgrade": "notwebsocketatall"}
    async with server.http.get(f"{server.url}/ws/news?user_id=u", headers=headers) as answer:
        assert answer.status == 426


async def test_client_that_never_reads_answers_is_closed() -> None:
    limits = {"delivery.write_high_water_bytes": 4_096, "messages.rate_per_s": 1e6, "messages.burst": 10**6}
    async with running(limits=limits) as server:
        deaf = await open_raw(server.ws_url, "deaf")
        payload = b'{"type":"sing"}'
        frame = bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload
        while not await server.metric("news_slow_consumers_total", action="disconnected"):
            await asyncio.get_running_loop().sock_sendall(deaf, frame * 200)
        while await server.metric("news_connections"):
            await asyncio.sleep(0.05)
        deaf.close()


async def test_unknown_keys_of_subscribe_are_warnings(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        answer = await ask(socket, {"type": "subscribe", "id": 1, "presist": False, "filters": {}})
        huge = await ask(socket, '{"type":"ping","id":1e300}')
        long = await ask(socket, json.dumps({"type": "ping", "id": "x" * 65}))

    assert [warning["pointer"] for warning in answer["warnings"]] == ["/presist"]
    assert (huge["code"], long["code"]) == ("invalid_message", "invalid_message")
    assert "id" not in huge
    assert "id" not in long


async def test_message_full_of_errors_gets_short_answer(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        error = await ask(socket, '{"type":"subscribe","filters":{"keywords":[' + "1," * 7_000 + "1]}}")

    assert len(error["errors"]) == 20


async def test_statistics_count_connections(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=a"), connect(f"{server.ws_url}?user_id=b"):
        stats = await server.get("/api/v1/stats")

    assert (stats["active_connections"], stats["connected_users"]) == (2, 2)


async def test_unreadable_filter_matches_nothing_and_is_reported(tmp_path: Path) -> None:
    path = str(tmp_path / "news.db")
    async with running(database=path) as server:
        await server.subscribe("u", impact_threshold=0)
    async with aiosqlite.connect(path) as connection:
        await connection.execute("UPDATE user_subscriptions SET keywords = 'broken'")
        await connection.commit()

    async with running(database=path) as server, connect(f"{server.ws_url}?user_id=u") as socket:
        told = await receive(socket)
        await server.publish(raw(1))
        await settled(socket)
        assert await server.metric("news_filter_decisions_total", outcome="error") == 1
        assert (await server.http.get(f"{server.url}/api/v1/subscriptions/u")).status == 500
        await socket.send('{"type":"subscribe","filters":{"impact_threshold":0}}')
        await settled(socket)
        await server.publish(raw(2))
        mended = await receive(socket)

    assert (told["type"], told["code"]) == ("error", "invalid_filter")
    assert mended["data"]["title"] == "Story 2"


async def test_internal_error_closes_only_that_connection(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket, connect(f"{server.ws_url}?user_id=v") as other:
        with monkeypatch.context() as broken:
            broken.setattr("app.core.protocol.client_messages.decode", lambda _text: 1 / 0)
            await socket.send('{"type":"ping"}')
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await receive(socket)
        await settled(other)

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1011, "internal_error;retry_after_ms=5000")


async def test_unstorable_subscription_is_not_confirmed(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_arguments: object) -> None:
        raise ServerError(ErrorCode.STORAGE_FULL, retry_after_s=30)

    async with connect(f"{server.ws_url}?user_id=u") as socket:
        with monkeypatch.context() as broken:
            broken.setattr("app.adapters.sqlite.subscription_store.SqliteSubscriptionStore.save", full)
            error = await ask(socket, {"type": "subscribe", "id": 5, "filters": {"impact_threshold": 100}})
        await server.publish(raw(1, impact_score=1))
        item = await receive(socket)

    assert (error["code"], error["id"], error["retryable"], error["retry_after_ms"]) == (
        "storage_full",
        5,
        True,
        30_000,
    )
    assert item["type"] == "news_item"


async def test_protocol_ping_flood_is_limited(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        with pytest.raises(websockets.ConnectionClosed) as caught:
            _pongs = [await socket.ping() for _ in range(200)]
            await receive(socket)

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4029


async def test_client_that_answers_pings_stays() -> None:
    async with running(heartbeat_s=1.0) as server, connect(f"{server.ws_url}?user_id=alive"):
        async with within():
            while await server.metric("news_pings_total", result="pong") < 2:
                await asyncio.sleep(0.1)

        assert await server.metric("news_connections") == 1


async def test_repeated_bad_messages_close_for_good(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=u") as socket:
        for bad in ("{", "[]", '{"type":7}', '{"type":"ping","id":{}}', "nothing"):
            assert (await ask(socket, bad))["type"] == "error"
        # Unknown keys are not errors.
        assert (await ask(socket, {"type": "from the future"}))["code"] == "unknown_type"
        assert (await ask(socket, "{"))["type"] == "error"
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await receive(socket)

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4503, "too_many_bad_messages")


async def test_endless_message_is_limited(server: RunningServer) -> None:
    crumb = masked(0x0, b"")
    raw_socket = await open_raw(server.ws_url, "u")
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw_socket, masked(0x1, b"{") + crumb * 100)
    answered = b""
    while data := await soon(loop.sock_recv(raw_socket, 4_096)):
        answered += data
    raw_socket.close()

    assert b"rate_limited" in answered
    assert await server.metric("news_connections_closed_total", reason="rate_limited") == 1


async def test_flood_behind_a_close_frame_is_harmless(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    raw_socket = await open_raw(server.ws_url, "u")
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw_socket, masked(0x88, b"") + masked(0x89, b"") * 1_000)
    answered = b""
    with suppress(ConnectionError):
        while data := await soon(loop.sock_recv(raw_socket, 4_096)):
            answered += data
    raw_socket.close()

    assert b"\x88\x00" in answered
    assert caplog.messages == []
    assert await server.metric("news_connections_closed_total", reason="client") == 1


@pytest.mark.parametrize("payload", [b"x", (999).to_bytes(2), (1000).to_bytes(2) + b"\xff"])
async def test_invalid_close_frame_is_answered_and_closes_tcp(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, payload: bytes
) -> None:
    # A client that does not answer a close frame is aborted after this time: it must not take that here.
    monkeypatch.setattr("app.adapters.http.websocket.link.CLOSE_HANDSHAKE_S", 3_600)
    raw_socket = await open_raw(server.ws_url, "u")
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw_socket, masked(0x88, payload))
    answered = b""
    while data := await soon(loop.sock_recv(raw_socket, 4_096)):
        answered += data
    raw_socket.close()

    assert answered[:1] == b"\x88"
