"""Clients with filters, and the comparison of what they received with what the oracle expects."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect

from tests.support import oracle
from tests.support.server import RunningServer


class Listener(NamedTuple):
    """A client, its filter, and what it received."""

    socket: ClientConnection
    filters: dict[str, Any]
    messages: list[dict[str, Any]]

    @property
    def items(self) -> list[dict[str, Any]]:
        return [message["data"] for message in self.messages if message["type"] == "news_item"]

    async def listen(self) -> None:
        async for text in self.socket:
            self.messages.append(json.loads(text))


@asynccontextmanager
async def listening(server: RunningServer, wishes: Sequence[dict[str, Any]]) -> AsyncIterator[list[Listener]]:
    """Connect one client for each filter: every other one with a stored subscription, the rest with a filter in the
    URL.
    """
    listeners = []
    async with asyncio.TaskGroup() as tasks:
        for number, filters in enumerate(wishes):
            query = {"user_id": f"user-{number}"}
            if number % 2:
                query["filters"] = json.dumps(filters)
            else:
                await server.subscribe(f"user-{number}", **filters)
            socket = await connect(f"{server.ws_url}?{urlencode(query)}", max_queue=None, compression=None)
            listeners.append(Listener(socket, filters, []))
            tasks.create_task(listeners[-1].listen())
        yield listeners
        for listener in listeners:
            await listener.socket.close()


async def all_delivered(server: RunningServer, listeners: Sequence[Listener], count: int) -> None:
    """Wait until every client has what the server wrote; `count` items are to be broadcast in all."""
    while await server.metric("news_broadcast_recipients_count") < count:
        await asyncio.sleep(0.05)
    matched = await server.metric("news_filter_decisions_total", outcome="matched")
    while sum(len(listener.items) for listener in listeners) < matched:
        await asyncio.sleep(0.05)


async def check_against_oracle(server: RunningServer, listeners: Sequence[Listener], count: int) -> None:
    """Compare each client's items with the oracle's, and the server's counters with what happened."""
    stored = await everything(server, count)
    for listener in listeners:
        expected = {item["id"] for item in stored if oracle.wants(listener.filters, item)}
        seqs = [message["seq"] for message in listener.messages if message["type"] == "news_item"]
        assert {item["id"] for item in listener.items} == expected, listener.filters
        assert seqs == sorted(set(seqs))
    outcomes = ("matched", "impact", "category", "source", "keyword", "error")
    decisions = {outcome: await server.metric("news_filter_decisions_total", outcome=outcome) for outcome in outcomes}
    assert sum(decisions.values()) == count * len(listeners)
    assert decisions["matched"] == await server.metric("news_sends_total", result="written")
    assert decisions["matched"] == sum(len(listener.items) for listener in listeners)


async def everything(server: RunningServer, count: int) -> list[dict[str, Any]]:
    """Read the whole log over REST."""
    items: list[dict[str, Any]] = []
    link = "/api/v1/news?limit=500&after_seq=0"
    while link:
        page = await server.get(link)
        items += page["items"]
        link = page["next"]
    assert len(items) == count
    return items
