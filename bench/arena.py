"""One round of one contestant: clients connect, items are published, and the result is measured.

The contestant has core 0, the load client (bench/native/load.c) and the publisher core 1. A round in which any client
did not get exactly its items, in order, is an error and not a figure.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.contestants import Contestant, Running
from bench.workshop import BYSTANDERS, LOAD, Scene

_TICKS_A_S = os.sysconf("SC_CLK_TCK")
_SETTLE_S = 0.7


class Plan(NamedTuple):
    """A round: the number of clients and items, how many items at once, and the pause between them in
    seconds, or none.
    """

    clients: int
    items: int
    items_a_write: int = 1
    pace_s: float = 0.0


class Figures(NamedTuple):
    """The results of a round. CPU times are the contestant's, for a delivery."""

    deliveries_per_s: float
    user_us: float
    system_us: float
    p50_ms: float
    p99_ms: float
    storm_per_s: float

    @property
    def cpu_us(self) -> float:
        return self.user_us + self.system_us


class Inexact(AssertionError):
    """A client did not get exactly its items in order."""


class Crowd:
    """The clients of one round, in a process of their own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self, name: str) -> dict[str, Any]:
        """Wait for READY or RESULT."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 240)
        word, _, text = line.decode().partition(" ")
        assert word == name, f"the crowd said {line!r}"
        found: dict[str, Any] = json.loads(text)
        return found


@asynccontextmanager
async def crowd(contestant: Contestant, port: int, plan: Plan, bystanders: int) -> AsyncIterator[Crowd]:
    """Connect the clients."""
    options = ["-p", port, "-n", plan.clients, "-x", bystanders, "-e", plan.items, "-i", 15]
    options += ["-N"] * contestant.speaks_nats + ["-d"] * contestant.offers_deflate
    process = await asyncio.create_subprocess_exec(LOAD, *map(str, options), stdout=asyncio.subprocess.PIPE)
    try:
        yield Crowd(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def cpu_s(pid: int) -> tuple[float, float]:
    """Return the user and system time of a process (proc(5), /proc/pid/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(fields[11]) / _TICKS_A_S, int(fields[12]) / _TICKS_A_S


async def play(contestant: Contestant, scene: Scene, plan: Plan) -> Figures:
    """Play one round. Raises Inexact."""
    bystanders = BYSTANDERS if contestant.has_filters else 0
    async with (
        contestant.start(scene, plan.items_a_write) as running,
        crowd(contestant, running.port, plan, bystanders) as clients,
    ):
        ready = await clients.line("READY")
        if ready["failed"]:
            raise Inexact(f"{contestant.name}: not every client connected: {ready}")
        await asyncio.sleep(_SETTLE_S)
        before = cpu_s(running.pid)
        publishing = asyncio.create_task(publish_all(running, plan))
        result = await clients.line("RESULT")
        after = cpu_s(running.pid)
        publishing.cancel()
    if any(result[wrong] for wrong in ("wrong_clients", "disordered", "unstamped", "closed")):
        raise Inexact(f"{contestant.name}: not exactly its items in order: {result}")
    return _figures(result, ready, before, after)


def _figures(
    result: dict[str, Any], ready: dict[str, Any], before: tuple[float, float], after: tuple[float, float]
) -> Figures:
    deliveries = result["items"]
    return Figures(
        deliveries_per_s=deliveries / result["span_s"],
        user_us=(after[0] - before[0]) / deliveries * 1e6,
        system_us=(after[1] - before[1]) / deliveries * 1e6,
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        storm_per_s=ready["open"] / ready["seconds"],
    )


async def publish_all(running: Running, plan: Plan) -> None:
    """Publish every item of the plan, seqs from 1; the next one when the last was accepted."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for start in range(1, plan.items + 1, plan.items_a_write):
        if plan.pace_s:
            await asyncio.sleep(began + start * plan.pace_s - loop.time())
        await running.publish(range(start, start + plan.items_a_write))
