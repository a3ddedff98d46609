"""The pauses of the garbage collector while 10,000 connections open.

    python -m bench.collector

The server runs twice: with Python's default thresholds, and as it is. It records each pause itself, with gc.callbacks.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from app import __main__ as command
from app.adapters.system.gc_tuning import tune_garbage_collector
from bench.running import run
from tests.support.crowd import join
from tests.support.items import raw
from tests.support.process import server_process

CLIENTS = 10_000
ITEMS = 100
FILTERS = json.dumps({"impact_threshold": 40, "keywords": ["fed*", "rate cut"]})
NOTES, DEFAULTS = "BENCH_NOTES", "BENCH_DEFAULTS"


def serve() -> int:
    """Run the server, and write its pauses in ms, by generation."""
    pauses: dict[int, list[float]] = {0: [], 1: [], 2: []}
    began = 0.0

    def note(phase: str, about: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            pauses[about["generation"]].append((time.perf_counter() - began) * 1000)

    def begin() -> None:
        if not os.environ.get(DEFAULTS):
            tune_garbage_collector()
        gc.callbacks.append(note)

    # The server tunes the collector once it listens: from then on pauses are recorded.
    vars(command)["settle"] = begin
    code = command.main()
    Path(os.environ[NOTES]).write_text(json.dumps(pauses), encoding="utf-8")
    return code


async def pauses_of(environment: dict[str, str]) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.json"
        start = ("--database", str(Path(folder) / "news.db"))
        environment |= {NOTES: str(notes)}
        async with server_process(*start, module="bench.collector", environment=environment) as running:
            clients = [
                await join(running.server.ws_url, f"user-{number}", filters=FILTERS) for number in range(CLIENTS)
            ]
            for number in range(ITEMS):
                await running.server.publish(raw(number, impact_score=90))
            for client in clients:
                client.close()
            await running.end(signal.SIGTERM)
        found: dict[str, list[float]] = json.loads(await asyncio.to_thread(notes.read_text, encoding="utf-8"))
    return found


async def measure() -> None:
    for name, environment in (("Python's own", {DEFAULTS: "1"}), ("ours", {})):
        for generation, taken in (await pauses_of(environment)).items():
            sys.stdout.write(
                f"{name:12} generation {generation}: {len(taken):3} pauses, longest {max(taken, default=0):6.1f} ms,"
                f" together {sum(taken):6.1f} ms\n"
            )


if __name__ == "__main__":
    sys.exit(serve() if "serve" in sys.argv else run(measure()))
