"""Fixtures for every test: whoever blocks the event loop fails."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_timeout
import structlog
import uvloop
from aiohttp import web
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

from app.adapters.http import application
from app.adapters.http.response.problems import route_of
from app.adapters.http.services import Services
from app.core.protocol import frames, server_messages
from tests.support import contract

# Plain lines: structlog's console would read source files to draw a traceback, on the loop.
structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    logger_factory=lambda *_names: structlog.PrintLogger(),
)

settings.register_profile("default", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

CLEARING_UP = pytest_timeout.Settings(60, "thread", func_only=False, disable_debugger_detection=True)
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
        # Coverage's own lock: an error in its midst leaves it locked, and a thread of the server waits for it for ever.
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            blockbuster.functions[name].can_block_in("coverage/collector.py", "lock_data")
        yield blockbuster


@pytest.fixture(autouse=True)
def everything_said_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test in which the server says what /openapi.json and /asyncapi.json do not."""
    message_frame, news_item, new_application = frames.message_frame, frames.news_item, application._new_application

    def checked_frame(message: server_messages.Message) -> bytes:
        contract.check_frame(msgspec.json.encode(message))
        return message_frame(message)

    def checked_item(*given: Any, **more: Any) -> bytes:
        payload = news_item(*given, **more)
        contract.check_frame(payload)
        return payload

    async def check_answer(request: web.Request, answer: web.StreamResponse) -> None:
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            contract.check_answer(request.method, route_of(request), answer.status, answer.content_type, answer.body)

    def checked_application(services: Services) -> web.Application:
        app = new_application(services)
        app.on_response_prepare.append(check_answer)
        return app

    monkeypatch.setattr(frames, "message_frame", checked_frame)
    monkeypatch.setattr(frames, "news_item", checked_item)
    monkeypatch.setattr(application, "_new_application", checked_application)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Give the clearing up a minute too: pytest-timeout stops its clock when a test fails."""
    hooks = item.config.pluginmanager.hook
    hooks.pytest_timeout_cancel_timer(item=item)
    hooks.pytest_timeout_set_timer(item=item, settings=CLEARING_UP)
    try:
        yield
    finally:
        hooks.pytest_timeout_cancel_timer(item=item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs real inputs where they are not beside the project."""
    if REAL_DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"real inputs are not at {REAL_DATA}")
    for item in items:
        if "real_data" in item.keywords:
            item.add_marker(skip)
