"""Settings for every test. What only tests of the server need is in tests/support/server_checks.py."""

import asyncio
import functools
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.time_limits import within

settings.register_profile("default", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
# Guards against hanging, of tests without a limit of their own.
TIME_LIMIT_S = 180.0


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the event loop that the server runs on."""
    import uvloop

    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of async tests, and skip what needs real inputs if they are not beside the project."""
    skip = pytest.mark.skip(reason=f"real inputs are not at {REAL_DATA}")
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("time_limit")
            item.obj = _limited(item.obj, marker.args[0] if marker else TIME_LIMIT_S)
        if "real_data" in item.keywords and not REAL_DATA.is_dir():
            item.add_marker(skip)


def _limited(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*arguments: Any, **fixtures: Any) -> None:
        async with within(seconds):
            await test(*arguments, **fixtures)

    return limited
