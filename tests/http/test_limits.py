"""Limits that an operator set are in force, and are what GET /api/v1/limits says."""

import json

from websockets.asyncio.client import connect

from tests.support.server import running


async def test_a_limit_that_was_set_is_in_force_and_shown() -> None:
    async with running(limits={"channels": 2, "message_bytes": 600}) as server:
        limits = (await server.get("/api/v1/limits"))["limits"]
        async with connect(f"{server.ws_url}?user_id=u&v=2") as socket:
            welcome = json.loads(await socket.recv())
            answers = []
            for name in ("a", "b"):
                await socket.send(json.dumps({"type": "subscribe", "id": name, "channel": name, "filters": {}}))
                answers.append(json.loads(await socket.recv()))
            await socket.send("x" * 700)
            await socket.wait_closed()

    assert (limits["channels"], limits["message_bytes"], limits["page_items"]) == (2, 600, 500)
    assert (welcome["limits"]["channels"], welcome["limits"]["message_bytes"]) == (2, 600)
    assert [one.get("code") for one in answers] == [None, "too_many_channels"]
    assert socket.close_code == 1009
