"""The paths of docs/architecture.md, traced on a real server; and the files that the documents name."""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.architecture.figures import APP, ROOT
from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.time_limits import soon
from tests.support.tokens import SECRET, token

Step = tuple[str, str]

_MAX_STEPS = 14
_STEP = re.compile(r"^\d+\. `(\S+?)\.py` `(\S+?)`: \S", re.MULTILINE)


def documented_paths() -> dict[str, list[Step]]:
    """Return the steps of each path, as (module, qualified name)."""
    sections = re.split(r"^### ", (ROOT / "docs" / "architecture.md").read_text(), flags=re.MULTILINE)[1:]
    paths = {}
    for section in sections:
        steps = _STEP.findall(section)
        assert len(steps) == len(re.findall(r"^\d+\. ", section, re.MULTILINE)), section
        paths[section.splitlines()[0]] = [("app." + path.replace("/", "."), name) for path, name in steps]
    return paths


PATHS = documented_paths()


@contextmanager
def tracing(entered: list[Step]) -> Iterator[None]:
    """Record each function of `app` that is entered, in order."""

    def record(frame: FrameType, event: str, _argument: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("app."):
            entered.append((module, frame.f_code.co_qualname))

    sys.setprofile(record)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("name", PATHS)
def test_documented_path_is_short_and_exists(name: str) -> None:
    steps = PATHS[name]
    modules = [module for module, _ in steps]

    assert 0 < len(steps) <= _MAX_STEPS
    assert len(set(modules)) == len(modules)
    for module, qualified in steps:
        value: object = import_module(module)
        for part in qualified.partition(".<locals>")[0].split("."):
            value = inspect.getattr_static(value, part)


async def test_documented_paths_are_those_of_the_server(tmp_path: Path) -> None:
    traces = {name: list[Step]() for name in PATHS}
    async with running(database=str(tmp_path / "news.db"), jwt_secret=SECRET) as server:
        headers = {"Authorization": f"Bearer {token('u', scope='news:publish')}"}
        with tracing(traces["Upgrade"]):
            async with connect(f"{server.ws_url}?v=2", additional_headers=headers) as socket:
                welcome = await receive(socket, "welcome")
                traces["Opening"] += traces["Upgrade"]
                with tracing(traces["Publish"]):
                    await publish(server, headers)
                    await receive(socket, "news_item")
                traces["Fan-out"] += traces["Publish"]
                with tracing(traces["Subscribe"]):
                    await socket.send(json.dumps({"type": "subscribe", "id": 1, "filters": {"impact_threshold": 0}}))
                    await receive(socket, "subscribed")
        with tracing(traces["Resume"]):
            query = f"?v=2&resume={welcome['epoch']}:0"
            async with connect(server.ws_url + query, additional_headers=headers) as socket:
                await receive(socket, "live")

    for name, steps in PATHS.items():
        assert missing_in_order(steps, traces[name]) == [], name


async def publish(server: RunningServer, headers: dict[str, str]) -> None:
    async with server.http.post(f"{server.url}/api/v1/news", json=raw(1), headers=headers) as answer:
        assert answer.status == 202, await answer.text()


async def receive(socket: ClientConnection, kind: str) -> dict[str, str]:
    """Return the next message of a type."""
    while True:
        message = json.loads(await soon(socket.recv()))
        if message["type"] == kind:
            return dict(message)


def missing_in_order(steps: list[Step], entered: list[Step]) -> list[Step]:
    """Return the steps that were not entered in this order."""
    rest = iter(entered)
    return [step for step in steps if step not in rest]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_files_named_in_documents_exist(page: Path) -> None:
    named = re.findall(r"`((?:app|core|flows|ports|adapters|telemetry|tests|bench)/[\w/.]+\.\w+)", page.read_text())

    for name in named:
        assert (APP / name).exists() or (ROOT / name).exists(), f"{page.name}: {name}"
