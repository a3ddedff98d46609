"""Tokens that are revoked before they expire."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.server import RunningServer, running
from tests.support.tokens import SECRET, token

ADMIN = {"Authorization": f"Bearer {token('ann', scope='news:admin')}"}


def bearer(user: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user, **claims)}"}


async def revoke(server: RunningServer, user: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with server.http.delete(f"{server.url}/api/v1/users/{user}/tokens", headers=headers) as answer:
        return answer.status, await answer.json()


async def read_news(server: RunningServer, headers: dict[str, str]) -> int:
    async with server.http.get(f"{server.url}/api/v1/news", headers=headers) as answer:
        return answer.status


async def test_revoked_tokens_stay_refused_after_restart(tmp_path: Path) -> None:
    now = int(time.time())
    old, undated, newer = bearer("eve", iat=now - 5), bearer("eve"), bearer("eve", iat=now + 20)
    async with running(jwt_secret=SECRET, database=str(tmp_path / "news.db")) as server:
        async with (
            connect(server.ws_url, additional_headers=old) as socket,
            connect(server.ws_url, additional_headers=bearer("bob", iat=now - 5)) as others,
        ):
            status, said = await revoke(server, "eve", ADMIN)
            with pytest.raises(ConnectionClosed) as kicked:
                await socket.recv()
            await others.send(json.dumps({"type": "refresh", "id": 1, "token": token("bob", iat=now - 5)}))
            assert json.loads(await others.recv())["type"] == "refreshed"

        assert (status, said) == (200, {"status": "revoked", "user_id": "eve", "connections": 1})
        assert kicked.value.rcvd is not None
        assert (kicked.value.rcvd.code, kicked.value.rcvd.reason) == (4500, "kicked")
        assert [await read_news(server, each) for each in (old, undated, newer)] == [401, 401, 200]
        assert await server.metric("news_auth_attempts_total", result="revoked") == 2

    async with running(jwt_secret=SECRET, database=str(tmp_path / "news.db")) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.ws_url, additional_headers=old)
        assert refused.value.response.status_code == 401
        async with connect(f"{server.ws_url}?v=2") as socket:
            await socket.send(json.dumps({"type": "auth", "token": token("eve", iat=now - 5)}))
            assert json.loads(await socket.recv())["code"] == "unauthorized"
        async with connect(server.ws_url, additional_headers=newer):
            pass


async def test_revoked_token_cannot_refresh(closed: RunningServer) -> None:
    before = int(time.time()) - 5
    await revoke(closed, "eve", ADMIN)
    async with connect(closed.ws_url, additional_headers=bearer("eve", iat=before + 25)) as socket:
        await socket.send(json.dumps({"type": "refresh", "id": 1, "token": token("eve", iat=before)}))

        assert json.loads(await socket.recv())["code"] == "unauthorized"


async def test_only_operators_revoke_and_only_with_tokens(server: RunningServer, closed: RunningServer) -> None:
    assert (await revoke(server, "eve", {}))[0] == 404
    assert (await revoke(closed, "eve", bearer("eve")))[0] == 403
    assert (await revoke(closed, "eve", {}))[0] == 401
    assert (await revoke(closed, "e%20e", ADMIN))[0] == 400


async def test_token_of_a_fast_clock_is_revoked_too(tmp_path: Path) -> None:
    ahead = bearer("eve", iat=int(time.time()) + 25)
    async with running(jwt_secret=SECRET, database=str(tmp_path / "news.db")) as server:
        async with connect(server.ws_url, additional_headers=ahead):
            await revoke(server, "eve", ADMIN)
        assert await read_news(server, ahead) == 401
    async with running(jwt_secret=SECRET, database=str(tmp_path / "news.db")) as server:
        assert await read_news(server, ahead) == 401
