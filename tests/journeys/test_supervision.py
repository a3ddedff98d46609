"""A background task that ends early ends the server, loudly and soon."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from app.config import Settings
from app.flows.operations.supervision import WorkerEnded
from app.serve import Listening, serve
from app.telemetry.stats import Stats
from tests.support.time_limits import scaled, soon

NAMES = {
    *("WebSocketBroadcaster.follow", "WebSocketBroadcaster.run", "NewsProcessor.run", "Retention.run"),
    *("CatchUp.run", "CatchUp.run_sweeps", "Acks.run_flushes", "Housekeeping.run_sweeps"),
    *("sqlite-writer", "sqlite-healing"),
}


async def start(tmp_path: Path) -> asyncio.Task[None]:
    settings = msgspec.convert({"port": 0, "database": str(tmp_path / "news.db")}, Settings)
    listening: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, asyncio.Event(), listening.set_result, Stats()))
    await soon(listening)
    return serving


async def test_every_worker_is_known(tmp_path: Path) -> None:
    serving = await start(tmp_path)
    names = {task.get_name() for task in asyncio.all_tasks()}
    serving.cancel()
    with pytest.raises((asyncio.CancelledError, ExceptionGroup)):
        await serving

    assert names >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
async def test_dead_worker_ends_the_server(tmp_path: Path, name: str) -> None:
    serving = await start(tmp_path)
    [victim] = [task for task in asyncio.all_tasks() if task.get_name() == name]

    victim.cancel()
    # Not `soon`, which would end the server itself at the end of its time.
    is_over, _ = await asyncio.wait([serving], timeout=scaled(30))
    serving.cancel()
    with pytest.raises(ExceptionGroup) as ended:
        await serving

    assert is_over
    assert any(isinstance(error, WorkerEnded) for error in ended.value.exceptions)
