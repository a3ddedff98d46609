"""The clients of examples/, run as their first lines say, against a server that restarts."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from tests.browser.test_page import ARGUMENTS, CHROMIUM
from tests.support.items import raw
from tests.support.process import ROOT, free_port, server_process
from tests.support.server import RunningServer
from tests.support.time_limits import scaled, soon
from tests.support.tokens import SECRET, token

EXAMPLES = ROOT / "examples"
PROTECTED = {"NEWS_JWT_SECRET": SECRET}

pytestmark = [pytest.mark.process, pytest.mark.time_limit(180)]


@cache
def node() -> list[str]:
    """Return the command of Node; without it the test is skipped, and in CI it fails."""
    path = shutil.which("node")
    if path is None:
        assert not os.environ.get("CI"), "CI must have node"
        pytest.skip("node is not installed")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(re.findall(r"\d+", version)[0])
    return [path] if major >= 22 else [path, "--experimental-websocket", "--no-warnings"]


def command(name: str) -> list[str]:
    runner = node() if name.endswith(".mjs") else [sys.executable]
    return [*runner, str(EXAMPLES / name)]


@asynccontextmanager
async def started(name: str, *arguments: str, news_token: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NEWS_")}
    process = await asyncio.create_subprocess_exec(
        *command(name),
        *arguments,
        env=environment | ({"NEWS_TOKEN": news_token} if news_token else {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await soon(process.stdout.readline())).decode()


async def connected(server: RunningServer) -> None:
    while not await server.metric("news_connections"):
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["listener.py", "listener.mjs"])
async def test_example_listener_resumes_after_a_restart(tmp_path: Path, name: str) -> None:
    port = free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    async with started(name, f"ws://127.0.0.1:{port}", "alice") as listener:
        async with server_process(*start) as running:
            await connected(running.server)
            await running.server.publish(raw(1, title="Before the restart"))
            before = await line_of(listener)
            await running.end()
        async with server_process(*start) as running:
            await running.server.publish(raw(2, title="During the restart"))
            during = await line_of(listener)

    assert "Before the restart" in before
    assert "During the restart" in during


@pytest.mark.parametrize("name", ["listener.py", "listener.mjs"])
async def test_example_listener_uses_its_token(name: str) -> None:
    async with server_process("--database", ":memory:", environment=PROTECTED) as running:
        server = running.server
        publisher = {"Authorization": f"Bearer {token('p', scope='news:publish')}"}
        async with started(name, server.url.replace("http", "ws"), "alice", news_token=token("alice")) as listener:
            await connected(server)
            async with server.http.post(f"{server.url}/api/v1/news", json=raw(1), headers=publisher) as answer:
                assert answer.status == 202
            assert "Story 1" in await line_of(listener)


async def test_example_listener_stops_when_refused() -> None:
    async with server_process("--database", ":memory:", environment=PROTECTED) as running:
        url = running.server.url.replace("http", "ws")
        async with started("listener.py", url, "alice", news_token=token("bob")) as listener:
            _, errors = await soon(listener.communicate())

    assert listener.returncode == 1
    assert b"refused with 403" in errors


async def test_example_publisher_reports_receipts_and_errors() -> None:
    async with server_process("--database", ":memory:") as running:
        items = [json.dumps(raw(number)) for number in (1, 2, 1)]
        async with started("publisher.py", running.server.url) as publisher:
            out, _ = await soon(publisher.communicate("\n".join(items).encode()))
        async with started("publisher.py", running.server.url) as refused:
            _, errors = await soon(refused.communicate(b'{"source": "fax"}'))

    assert [line.split()[0] for line in out.decode().splitlines()] == ["1", "2", "1"]
    assert out.decode().splitlines()[2].endswith(" duplicate")
    assert (publisher.returncode, refused.returncode) == (0, 1)
    assert b"must be one of nitter, rss" in errors


@pytest.mark.browser
async def test_example_page_shows_news() -> None:
    if not CHROMIUM:
        assert not os.environ.get("CI"), "CI must have chromium"
        pytest.skip("chromium is not installed: apt-get install chromium")
    port = free_port()
    files = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(EXAMPLES)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with server_process("--database", ":memory:") as running, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = await browser.new_page()
            page.set_default_timeout(scaled(60_000))
            server = running.server.url.replace("http", "ws")
            await page.goto(f"http://127.0.0.1:{port}/listener.html?user=alice&server={server}")
            await page.get_by_text("connected", exact=True).wait_for()
            await running.server.publish(raw(1, title="5 &lt; 6"))
            await page.get_by_text("5 < 6").wait_for()
            await browser.close()
    finally:
        files.terminate()
        await files.wait()
