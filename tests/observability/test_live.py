"""A real Prometheus scrapes the real server under load: every panel has data, and every family is on a panel."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.support.dashboards import Target, concrete, families_in, family, rules, targets
from tests.support.items import raw
from tests.support.process import server_process
from tests.support.report import note
from tests.support.server import RunningServer
from tests.support.watchers import Prometheus, prometheus

pytestmark = [pytest.mark.prometheus, pytest.mark.time_limit(150)]

LOAD_S = 24.0
MAX_SERIES = 1_500
REMOVED = "news_frames_encoded_total"


async def use(server: RunningServer, user: str, until: float) -> None:
    """Act as a client: connect, send, listen, leave and return."""
    while time.monotonic() < until:
        async with connect(f"{server.ws_url}?user_id={user}") as client:
            await client.send('{"type":"ping"}')
            await client.send("nonsense")
            await client.send('{"type":"subscribe","filters":{"impact_threshold":20,"keywords":["story"]}}')
            # Reading also answers the server's pings.
            with suppress(TimeoutError):
                async with asyncio.timeout(3):
                    async for _ in client:
                        pass


async def publish(server: RunningServer, until: float) -> None:
    for number in range(1_000_000):
        if time.monotonic() > until:
            return
        await server.publish(raw(number, impact_score=number % 100), raw(number, impact_score=1))
        async with server.http.post(
            f"{server.url}/api/v1/news", data=b"{", headers={"Content-Type": "application/json"}
        ):
            await asyncio.sleep(0.1)


async def lose_nothing(server: RunningServer, until: float) -> None:
    """Act as a client that acknowledges and resumes, sometimes from an expired position."""
    position = "gone:0"
    while time.monotonic() < until:
        query = f"user_id=careful&ack=1&v=2&resume={position}"
        async with connect(f"{server.ws_url}?{query}") as client:
            welcome = json.loads(await client.recv())
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    async for text in client:
                        message = json.loads(text)
                        if message["type"] == "news_item":
                            await client.send(json.dumps({"type": "ack", "seq": message["seq"]}))
                            await asyncio.sleep(0.15)
            position = f"{welcome['epoch']}:{max(welcome['seq'] - 10, 0)}"


async def load(server: RunningServer) -> None:
    """Do for a while what users, publishers and operators do, right and wrong."""
    until = time.monotonic() + LOAD_S
    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(use(server, f"user-{number}", until))
        tasks.create_task(publish(server, until))
        tasks.create_task(lose_nothing(server, until))
        for path in ("/ws/news", "/api/v1/news?limit=5", "/api/v1/stats", "/health", "/nowhere"):
            await server.http.get(server.url + path)


async def without_data(watching: Prometheus) -> list[Target]:
    """Return the queries of all panels that have no data."""
    return [one for one in targets() if not await watching.query(concrete(one.expression, "10s"))]


async def test_every_panel_has_data(tmp_path: Path) -> None:
    async with server_process(
        "--database", str(tmp_path / "news.db"), "--sample-wire", "--heartbeat-s", "1"
    ) as running:
        server = running.server
        target = [server.url.removeprefix("http://")]
        async with (
            prometheus(tmp_path / "all", target) as watching,
            prometheus(tmp_path / "control", target, without=REMOVED) as control,
        ):
            await load(server)
            empty = await without_data(watching)
            empty_in_control = await without_data(control)
            exported = {family(name) for name in await watching.families()}
            series = await watching.query('count({__name__=~"news_.+", job="polyfloat-news"})')
            # Also pending alerts: most need more than the half minute that this lasts. NewsAbsent waits until the first
            # scrape.
            rung = await watching.query(
                'ALERTS{severity="critical", alertname!="NewsAbsent"}'
                ' or ALERTS{alertstate="firing", severity="warning"}'
            )

    shown = {name for target in targets() for name in families_in(target.expression)}
    asked = {name for rule in rules() for name in families_in(rule["expr"])}
    used = {name for name in shown | asked if name.startswith("news_")}
    note("live", f"{len(list(targets()))} queries on a real Prometheus", f"{len(empty)} without data")
    note("live", f"{len(exported)} families exported", f"{len(exported ^ used)} not shown, or shown and not exported")
    note("live", f"control without {REMOVED}", f"{len(empty_in_control)} queries without data: found")
    assert empty == []
    assert exported ^ used == set()
    # Check of the check: without one metric, exactly the queries that use it have no data.
    assert empty_in_control == [target for target in targets() if REMOVED in target.expression] != []
    assert (exported - {family(REMOVED)}) ^ used == {family(REMOVED)}
    assert int(series[0]["values"][-1][1]) < MAX_SERIES
    assert [one["metric"]["alertname"] for one in rung] == []
