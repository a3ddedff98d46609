"""Four real faults: each reaches a webhook through a real Prometheus and a real Alertmanager.

Durations of the rules are divided by HURRY, so that ten minutes pass in half a minute; `make observability` runs the
same with the rules as they are (HURRY=1), which takes about twelve minutes.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.crowd import CountingClient, join
from tests.support.process import ServerProcess, server_process
from tests.support.report import note
from tests.support.watchers import Webhook, alertmanager, prometheus, webhook

HURRY = float(os.environ.get("HURRY", "20"))
CAPACITY = 20
CROWD = 100
# A target is scraped once before anything happens to it.
SETTLE_S = 3.0

pytestmark = [pytest.mark.prometheus, pytest.mark.time_limit(120 + 900 / HURRY)]


class Watch:
    """A webhook behind an Alertmanager, and for each server a Prometheus of its own."""

    def __init__(self, folder: Path, stack: AsyncExitStack, manager: str, told: Webhook) -> None:
        self.folder = folder
        self.told = told
        self._stack = stack
        self._manager = manager

    async def server(self, name: str, *arguments: str, module: str = "app") -> ServerProcess:
        """Start a server and have it scraped."""
        database = str(self.folder / f"{name}.db")
        running = await self._stack.enter_async_context(
            server_process("--database", database, *arguments, module=module)
        )
        target = running.server.url.removeprefix("http://")
        watching = prometheus(self.folder / name, [target], alertmanager=self._manager, hurry=HURRY)
        await self._stack.enter_async_context(watching)
        return running

    async def called(self, alert: str, within_s: float) -> None:
        """Wait until the webhook received an alert; `within_s` is in the time of the rules."""
        receiver = "tickets" if alert == "NewsConnectionsDropped" else "pager"
        await self.told.wait_for(receiver, alert, 60 + within_s / HURRY)
        note("alerts", alert, f"{receiver} was told")


@asynccontextmanager
async def watch(folder: Path) -> AsyncIterator[Watch]:
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(webhook())
        manager = await stack.enter_async_context(alertmanager(folder, told, hurry=HURRY))
        yield Watch(folder, stack, manager, told)


async def kill(watching: Watch) -> None:
    running = await watching.server("killed")
    await asyncio.sleep(SETTLE_S)
    await running.end(signal.SIGKILL)
    await watching.called("NewsDown", 60)


async def stall(watching: Watch) -> None:
    running = await watching.server("stalled", module="tests.support.stalling")
    await asyncio.sleep(SETTLE_S)
    running.process.send_signal(signal.SIGUSR1)
    await watching.called("NewsBroadcasterStalled", 30)
    async with running.server.http.get(f"{running.server.url}/livez") as answer:
        assert answer.status == 503


async def fill(watching: Watch) -> None:
    running = await watching.server("full", "--max-connections", str(CAPACITY))
    clients = [await join(running.server.ws_url, f"user-{number}") for number in range(CAPACITY)]
    await watching.called("NewsConnectionsAtCapacity", 120)
    leave(clients)


async def drop(watching: Watch) -> None:
    running = await watching.server("dropped")
    clients = [await join(running.server.ws_url, f"user-{number}") for number in range(CROWD)]
    await asyncio.sleep(SETTLE_S + 600 / HURRY)
    leave(clients[: CROWD * 4 // 10])
    await watching.called("NewsConnectionsDropped", 60)
    leave(clients[CROWD * 4 // 10 :])


def leave(clients: list[CountingClient]) -> None:
    for client in clients:
        client.close()


async def test_four_faults_reach_the_on_call(tmp_path: Path) -> None:
    async with watch(tmp_path) as watching:
        quiet = await watching.server("quiet")
        async with asyncio.TaskGroup() as faults:
            for fault in (kill, stall, fill, drop):
                faults.create_task(fault(watching))
        await watching.told.wait_for("deadman", "NewsWatchdog", 60)
        untroubled = quiet.server.url.removeprefix("http://")

    assert ("pager", untroubled) not in {(receiver, instance) for receiver, _alert, instance in watching.told.told}
