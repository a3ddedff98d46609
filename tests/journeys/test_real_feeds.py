"""Real feeds, served over HTTP, read by the real poller, delivered to clients with different filters."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.conftest import REAL_DATA
from tests.support.listeners import all_delivered, check_against_oracle, listening
from tests.support.server import running

WISHES: list[dict[str, object]] = [
    {"impact_threshold": 0},
    {},
    {"impact_threshold": 20, "categories": ["politics", "sports"]},
    {"impact_threshold": 0, "rss_feeds": ["bbc", "nyt"]},
    {"impact_threshold": 0, "rss_feeds": ["golem.de", "BBC News اردو"], "sources_strict": True},
    {"impact_threshold": 0, "nitter_accounts": ["@reuters"], "sources_strict": True},
    {"impact_threshold": 0, "keywords": ["trump", "brexit", "elect*", "prime minister*"]},
    {"impact_threshold": 0, "keywords": ["apple"], "exclude": {"rss_feeds": ["macworld"], "keywords": ["iphone*"]}},
    {"impact_threshold": 0, "people": ["Boris Johnson", "modi"]},
    {"impact_threshold": 0, "keywords": ["امریکی", "цитата", "für"]},
    {"impact_threshold": 5, "exclude": {"categories": ["politics", "other"]}},
    {"impact_threshold": 0, "tickers": ["AAPL", "GOOGL", "$TSLA"]},
]


READ = ("new", "unchanged")
# All feeds are on one host.
FAST = {"feeds.fetches_per_s_per_host": 100.0}


class Publishers:
    """Serves the real files, once it is released."""

    def __init__(self) -> None:
        self.doors = asyncio.Event()
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self.server = TestServer(app)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await self.doors.wait()
        return web.FileResponse(REAL_DATA / "feeds" / request.match_info["name"])


@pytest.fixture
async def publishers() -> AsyncIterator[Publishers]:
    publishers = Publishers()
    await publishers.server.start_server()
    yield publishers
    await publishers.server.close()


@pytest.mark.real_data
@pytest.mark.time_limit(120)
async def test_feeds_reach_exactly_the_matching_clients(tmp_path: Path, publishers: Publishers) -> None:
    files = [path.name for path in sorted((REAL_DATA / "feeds").iterdir()) if path.suffix != ".json"]
    catalogue = tmp_path / "feeds.toml"
    # The files are years old.
    every_age = "[defaults]\nmax_age_s = 0\nfirst_look_age_s = 0\n"
    catalogue.write_text(
        every_age + "".join(f'[[feed]]\nurl = "{publishers.server.make_url("/" + name)}"\n' for name in files)
    )

    async with running(database=str(tmp_path / "news.db"), feeds=str(catalogue), limits=FAST) as server:
        async with listening(server, WISHES) as listeners:
            publishers.doors.set()
            # One of the feeds has only what another has too.
            while sum([await server.metric("news_feed_fetches_total", result=result) for result in READ]) < len(files):
                await asyncio.sleep(0.1)
            while await server.metric("news_intake_queue_items"):
                await asyncio.sleep(0.1)
            stats = await server.get("/api/v1/stats")
            await all_delivered(server, listeners, stats["seq"])
            await check_against_oracle(server, listeners, stats["seq"])

    assert stats["rss_feeds"] == {"total": len(files), "active": len(files)}
    received = [len(listener.items) for listener in listeners]
    print(f"{len(files)} feeds, {stats['seq']} items; received by each filter: {received}")  # noqa: T201 - the measurement
    assert stats["seq"] > 500
    assert sum(map(bool, received)) >= len(WISHES) - 2
