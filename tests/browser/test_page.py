"""The page at / and a browser's own WebSocket, in a real Chromium."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.support.items import raw
from tests.support.process import free_port, server_process
from tests.support.server import RunningServer
from tests.support.time_limits import scaled
from tests.support.tokens import SECRET, token

CHROMIUM = shutil.which("chromium") or ""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [pytest.mark.browser, pytest.mark.time_limit(180)]


@pytest.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with server_process("--database", ":memory:") as running:
        yield running.server


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    if not CHROMIUM:
        assert not os.environ.get("CI"), "CI must have chromium"
        pytest.skip("chromium is not installed: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        page.set_default_timeout(scaled(60_000))
        yield page
        await browser.close()


async def test_page_shows_news_as_text(server: RunningServer, page: Page) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    await server.publish(raw(1, title="Stored before"))

    await page.goto(server.url)
    await page.get_by_text("connected", exact=True).wait_for()
    await server.publish(raw(2, title="5 < 6 &lt;img src=x onerror=alert(1)&gt;", impact_score=90, tickers=["BTC"]))
    await page.get_by_text("5 < 6 <img src=x onerror=alert(1)>").wait_for()

    assert await page.get_by_text("Stored before").count() == 1
    assert await page.locator("img").count() == 0
    assert await page.locator("li.high").count() == 1
    assert problems == []


async def test_page_says_that_a_token_is_needed(page: Page) -> None:
    async with server_process("--database", ":memory:", environment={"NEWS_JWT_SECRET": SECRET}) as running:
        await page.goto(running.server.url)
        await page.get_by_text("this server requires a token: open this page as /#token=…").wait_for()


async def test_page_resumes_after_disconnect(tmp_path: Path, page: Page) -> None:
    start = ("--port", str(free_port()), "--database", str(tmp_path / "news.db"))
    async with server_process(*start) as running:
        await page.goto(running.server.url)
        await page.get_by_text("connected", exact=True).wait_for()
        await running.server.publish(raw(1, title="Heard before"))
        await page.get_by_text("Heard before").wait_for()
        await running.end()
    async with server_process(*start) as running:
        await running.server.publish(raw(2, title="Missed meanwhile"))
        await page.get_by_text("Missed meanwhile").wait_for()

    assert await page.get_by_text("Heard before").count() == 1


CLIENT = """
(url) => new Promise((resolve, reject) => {
  const seen = [];
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send(JSON.stringify({type: 'ping'}));
  socket.onerror = () => reject(new Error('no connection'));
  socket.onmessage = (event) => {
    const data = JSON.parse(event.data);
    seen.push(data.type === 'news_item' ? data.data.title : data.type);
    if (seen.length === 2) { socket.close(); resolve(seen); }
  };
})
"""


async def test_browser_websocket_pings_and_receives(server: RunningServer, page: Page) -> None:
    await page.goto(server.url)
    seen = asyncio.create_task(page.evaluate(CLIENT, f"{server.ws_url}?user_id=browser_client"))
    while not await server.metric("news_client_messages_total", type="ping"):
        await asyncio.sleep(0.02)

    await server.publish(raw(1))

    assert await seen == ["pong", "Story 1"]


async def test_page_takes_token_from_fragment(page: Page) -> None:
    environment = {"NEWS_JWT_SECRET": SECRET}
    async with server_process("--database", ":memory:", environment=environment) as running:
        server = running.server
        publisher = {"Authorization": f"Bearer {token(scope='news:publish')}"}
        await page.goto(f"{server.url}/#token={token('alice')}")
        await page.get_by_text("connected", exact=True).wait_for()
        async with server.http.post(f"{server.url}/api/v1/news", json=raw(1), headers=publisher) as answer:
            assert answer.status == 202
        await page.get_by_text("Story 1", exact=True).wait_for()

        assert await server.metric("news_auth_attempts_total", result="missing") == 0
