"""Fixtures for every test: whoever blocks the event loop fails."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import uvloop
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

# Plain lines: structlog's console would read source files to draw a traceback, on the loop.
structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    logger_factory=lambda *_names: structlog.PrintLogger(),
)

settings.register_profile("default", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """Fail the test in which code of ours blocks the event loop."""
    with blockbuster_ctx("app") as blockbuster:
        # /proc is the kernel's memory, not a disk.
        for name in ("io.TextIOWrapper.read", "os.stat", "os.listdir"):
            blockbuster.functions[name].can_block_in("app/telemetry/process.py", {"_read", "count_entries", "__init__"})
        # The sizes of two open files, whose inodes are in memory.
        blockbuster.functions["os.stat"].can_block_in("app/adapters/sqlite/database.py", "_size")
        yield blockbuster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs real inputs where they are not beside the project."""
    if REAL_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"real inputs are not at {REAL_DATA}")
    for item in items:
        if "real_data" in item.keywords:
            item.add_marker(skip)
