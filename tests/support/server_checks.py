"""Checks of the server during every test that runs it: nothing blocks the event loop, and every answer is described.

The conftest of a folder imports them. Tests of the core do not, because they need neither aiohttp nor these checks.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web
from blockbuster import BlockBuster, blockbuster_ctx

from app.adapters.http import application
from app.adapters.http.response.problems import route_of
from app.adapters.http.services import Services
from app.core.protocol import frames, server_messages
from tests.support import contract

# Plain lines: structlog's console would read source files to render a traceback, on the event loop.
structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
    logger_factory=lambda *_names: structlog.PrintLogger(),
)


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """Fail a test in which code of `app` blocks the event loop."""
    with blockbuster_ctx("app") as blockbuster:
        # /proc is the kernel's memory, not a disk.
        for name in ("io.TextIOWrapper.read", "os.stat", "os.listdir"):
            blockbuster.functions[name].can_block_in("app/telemetry/process.py", {"_read", "count_entries", "__init__"})
        # The sizes of two open files, whose inodes are in memory.
        blockbuster.functions["os.stat"].can_block_in("app/adapters/sqlite/database.py", "_size")
        # Coverage's own lock: an exception inside would leave it locked, and a thread of the server would hang.
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            blockbuster.functions[name].can_block_in("coverage/collector.py", "lock_data")
        yield blockbuster


@pytest.fixture(autouse=True)
def all_output_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test in which the server sends what /openapi.json and /asyncapi.json do not describe."""
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
