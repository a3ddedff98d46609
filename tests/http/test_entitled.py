"""What a token hides, over real sockets and REST."""

import asyncio
import json
import time
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.support.items import raw
from tests.support.server import RunningServer
from tests.support.time_limits import GUARD_S, scaled, soon
from tests.support.tokens import token

CATEGORIES = ("crypto", "politics", "sports")


# Long enough for the requests that must come before it is over.
DELAY_S = int(scaled(5))


def bearer(user: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user, **claims)}"}


async def publish(server: RunningServer) -> None:
    """Publish an item of each category."""
    for number, category in enumerate(CATEGORIES):
        await call(
            server,
            bearer("p", scope="news:publish"),
            "POST",
            "news",
            json=raw(number, category=category, published_at=time.time()),
        )


async def call(server: RunningServer, headers: dict[str, str], method: str, path: str, **more: Any) -> Any:
    async with server.http.request(method, f"{server.url}/api/v1/{path}", headers=headers, **more) as answer:
        return answer.status, await answer.json()


async def items(socket: ClientConnection, count: int) -> list[str]:
    """Return the categories of `count` items and of those that arrive soon after them."""
    found: list[str] = []
    while True:
        try:
            limit_s = scaled(GUARD_S) if len(found) < count else 0.3
            message = json.loads(await asyncio.wait_for(socket.recv(), limit_s))
        except TimeoutError:
            return found
        if message["type"] == "news_item":
            found.append(message["data"]["category"])


async def test_socket_gets_only_entitled_items(closed: RunningServer) -> None:
    limited = bearer("alice", ent={"categories": ["crypto", "sports"]})
    async with connect(closed.ws_url, additional_headers=limited) as socket:
        await publish(closed)
        assert await items(socket, 2) == ["crypto", "sports"]

        await socket.send(
            json.dumps({"type": "subscribe", "filters": {"impact_threshold": 0, "categories": ["politics"]}})
        )
        await socket.send(json.dumps({"type": "refresh", "id": 1, "token": token("alice")}))
        assert json.loads(await socket.recv())["type"] == "refreshed"
    async with connect(f"{closed.ws_url}?last=3", additional_headers=limited) as socket:
        assert await items(socket, 0) == []
    assert await closed.metric("news_filter_decisions_total", outcome="category") == 1


async def test_rest_shows_only_entitled_items(closed: RunningServer) -> None:
    await publish(closed)
    all_news = (await call(closed, bearer("bob"), "GET", "news?min_impact=0"))[1]["items"]
    limited = bearer("alice", ent={"categories": ["crypto"]})

    _, page = await call(closed, limited, "GET", "news")
    assert [one["category"] for one in all_news] == ["sports", "politics", "crypto"]
    assert ([one["category"] for one in page["items"]], page["total"]) == (["crypto"], 1)
    seen = [(await call(closed, limited, "GET", f"news/{one['id']}"))[0] for one in all_news]
    assert seen == [404, 404, 200]
    _, preview = await call(
        closed, limited, "POST", "subscriptions/preview", json={"impact_threshold": 0, "hours": 168}
    )
    assert (preview["matched"], [one["category"] for one in preview["samples"]]) == (1, ["crypto"])
    assert (preview["scanned"], sum(preview["rejected"].values())) == (1, 0)
    status, said = await call(closed, limited, "GET", f"news/{all_news[0]['id']}/explain?user_id=alice")
    assert (status, said["code"]) == (404, "unknown_item")
    _, stats = await call(closed, limited, "GET", "stats")
    shown = all_news[2]["impact_score"]
    assert (stats["total_news_items"], stats["items_last_24h"], stats["average_impact"]) == (1, 1, round(shown, 2))


async def test_rest_names_no_hidden_original(closed: RunningServer) -> None:
    text = "The Federal Reserve cut its benchmark rate by fifty basis points on Tuesday in a surprise move."
    for number, category in enumerate(("politics", "crypto")):
        body = raw(number, title="Fed cuts", content=text, category=category, published_at=time.time())
        await call(closed, bearer("p", scope="news:publish"), "POST", "news", json=body)
    [copy, original] = (await call(closed, bearer("bob"), "GET", "news?min_impact=0"))[1]["items"]
    limited = bearer("alice", ent={"categories": ["crypto"]})

    [listed] = (await call(closed, limited, "GET", "news"))[1]["items"]
    _, shown = await call(closed, limited, "GET", f"news/{copy['id']}")
    wanted = {"impact_threshold": 0, "hours": 168}
    [sample] = (await call(closed, limited, "POST", "subscriptions/preview", json=wanted))[1]["samples"]

    assert copy["duplicate_of"] == original["id"]
    assert [one["duplicate_of"] for one in (listed, shown, sample)] == [None, None, None]


async def test_delayed_token_sees_nothing_early(closed: RunningServer) -> None:
    late = bearer("alice", ent={"min_delay_s": DELAY_S})
    async with connect(closed.ws_url, additional_headers=late) as socket:
        await publish(closed)
        began = asyncio.get_running_loop().time()
        assert (await call(closed, late, "GET", "news"))[1]["items"] == []
        newest = (await call(closed, bearer("bob"), "GET", "news"))[1]["items"][0]["id"]
        assert (await call(closed, late, "GET", f"news/{newest}"))[0] == 404
        assert (await call(closed, late, "GET", f"news/{newest}/explain?user_id=alice"))[0] == 404
        first = json.loads(await soon(socket.recv()))
        waited_s = asyncio.get_running_loop().time() - began

        assert first["data"]["category"] == "crypto"
        assert await items(socket, 2) == ["politics", "sports"]
    assert waited_s > 0.75 * DELAY_S
    assert len((await call(closed, late, "GET", "news"))[1]["items"]) == 3


async def test_token_limits_channels_in_the_url(closed: RunningServer) -> None:
    limited = bearer("alice", ent={"max_channels": 1})
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{closed.ws_url}?channels=a,b", additional_headers=limited)
    with pytest.raises(InvalidStatus) as both:
        await connect(f"{closed.ws_url}?channels=a&filters=%7B%7D", additional_headers=limited)

    assert (refused.value.response.status_code, both.value.response.status_code) == (400, 400)
    async with connect(f"{closed.ws_url}?v=2&filters=%7B%7D", additional_headers=limited) as socket:
        assert json.loads(await socket.recv())["limits"]["channels"] == 1


@pytest.mark.parametrize("ent", ["all", {"categories": ["weather"]}, {"max_items": 3}, {"min_delay_s": -1}])
async def test_unenforceable_claim_is_refused(closed: RunningServer, ent: object) -> None:
    status, problem = await call(closed, bearer("alice", ent=ent), "GET", "news")

    assert (status, problem["code"]) == (401, "unauthorized")
    assert problem["errors"][0]["pointer"].startswith("/ent")
