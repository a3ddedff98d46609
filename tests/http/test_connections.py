"""Operators see the open connections, and close those of a user."""

import json

from websockets.asyncio.client import connect

from tests.support.server import running


async def test_open_connections_show_client_and_filters() -> None:
    async with running(trusted_proxies=("127.0.0.1",)) as server:
        headers = {"X-Forwarded-For": "[2001:db8::7]:4711", "User-Agent": "terminal/1 " + "x" * 300}
        address = f"{server.ws_url}?user_id=u&v=2&filters=" + '{"keywords":["fed"]}'
        async with connect(address, additional_headers=headers, user_agent_header=None) as socket:
            await socket.recv()
            [shown] = (await server.get("/api/v1/connections"))["connections"]
        [closed] = (await server.get("/api/v1/connections?state=closed"))["connections"]

    assert (shown["address"], shown["agent"]) == ("2001:db8::7", headers["User-Agent"][:200])
    assert shown["filters"]["default"]["keywords"] == ["fed"]
    assert 0 <= shown["duration_s"] < 60
    assert shown["opened_at"] > 1_000_000_000
    assert (closed["address"], closed["filters"]) == ("2001:db8::7", {})


async def test_list_of_connections_is_bounded_by_bytes() -> None:
    async with running(limits={"history.max_page_bytes": 1_000}) as server:
        sockets = [await connect(f"{server.ws_url}?user_id=u{number}") for number in range(5)]
        listed = await server.get("/api/v1/connections")
        for socket in sockets:
            await socket.close()

    assert (1 <= len(listed["connections"]) < 5, listed["total"]) == (True, 5)


async def test_operator_closes_all_connections_of_a_user() -> None:
    async with running() as server:
        sockets = [await connect(f"{server.ws_url}?user_id={user}") for user in ("auth0|7", "auth0|7", "other")]
        answers = []
        for _ in range(2):
            async with server.http.delete(f"{server.url}/api/v1/users/auth0%7C7/connections") as answer:
                answers.append(json.loads(await answer.read()))
        for socket in sockets[:2]:
            await socket.wait_closed()
        assert (await server.get("/api/v1/stats"))["active_connections"] == 1
        await sockets[2].close()

    assert answers == [
        {"status": "kicked", "user_id": "auth0|7", "connections": 2},
        {"status": "kicked", "user_id": "auth0|7", "connections": 0},
    ]
    assert [socket.close_code for socket in sockets[:2]] == [4500, 4500]
