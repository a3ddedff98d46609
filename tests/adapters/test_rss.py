"""Feeds: the configuration file, and the poller against a real server on loopback. Also the sample wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from app.adapters.data.vocabularies import load_sample_wire
from app.adapters.memory.stores import memory_stores
from app.adapters.sources.rss.config import FeedConfig, InvalidFeedsFile, read_feeds
from app.adapters.sources.rss.parsing import parse
from app.adapters.sources.rss.poller import RssPoller
from app.adapters.sources.sample import SampleWire
from app.core.limits import Limits
from app.core.news.feed_entry import EntryOutcome, FeedDocument
from app.core.news.urls import canonical
from app.flows.news.intake import FeedIntake
from app.flows.news.process import IncomingItem
from app.ports.log import Appended
from app.ports.stores import Stores
from app.telemetry.labels import Fetch
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.feeds import FeedServer, rss
from tests.support.time_limits import soon, within

NOW = 1_800_000_000.0
WIRE = load_sample_wire()


def test_feeds_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(
        '[[feed]]\nurl = "https://e.com/a.xml"\n[[feed]]\nurl = "http://e.com/b"\nname = "B"\nevery_s = 5\n'
        '[[feed]]\nurl = "https://e.com/a.xml"\n'
    )

    assert read_feeds(str(path)) == [
        FeedConfig(url="https://e.com/a.xml", id="e-com-a-xml"),
        FeedConfig(url="http://e.com/b", id="b", name="B", every_s=5.0),
    ]


def test_defaults_hold_for_every_feed(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(
        "[defaults]\nmax_age_s = 0\nevery_s = 9\n[[feed]]\nurl = 'https://e.com/a'\n"
        "[[feed]]\nid = 'own'\nurl = 'https://e.com/b'\nmax_age_s = 5\n"
    )
    one, other = read_feeds(str(path))

    assert (one.max_age_s, one.first_look_age_s, one.every_s) == (0.0, 3_600.0, 9.0)
    assert (other.id, other.max_age_s, other.every_s) == ("own", 5.0, 9.0)


def test_made_ids_are_unique_and_stable(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    urls = ("https://e.com/a?x=1", "https://e.com/a?x=2", "https://日本.example/")

    def ids(*order: str) -> dict[str, str]:
        path.write_text("".join(f"[[feed]]\nurl = '{url}'\n" for url in order))
        return {feed.url: feed.id for feed in read_feeds(str(path))}

    assert len(set(ids(*urls).values())) == 3
    assert ids(*urls) == ids(*reversed(urls))


def test_credentials_are_sent_as_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_PASSWORD", "open sesame")
    path = tmp_path / "feeds.toml"
    path.write_text(
        "[defaults]\nuser_agent = 'desk@e.com'\n[[feed]]\nurl = 'https://e.com/a'\nheaders = {X-Key = 'k'}\n"
        "[[feed]]\nurl = 'https://e.com/b'\nusername = 'desk'\npassword_env = 'DESK_PASSWORD'\n"
        "[[feed]]\nurl = 'https://e.com/c'\nbearer_env = 'DESK_PASSWORD'\n"
    )
    headers = [feed.headers_for(feed.url) for feed in read_feeds(str(path))]

    assert headers[0] == {"X-Key": "k", "User-Agent": "desk@e.com"}
    assert headers[1]["Authorization"] == "Basic ZGVzazpvcGVuIHNlc2FtZQ=="
    assert headers[2]["Authorization"] == "Bearer open sesame"


BAD_CATALOGUES = [
    ("[[feed]\n", "feeds.toml"),
    ("feed = 5\n", "must contain [[feed]] tables"),
    ("[[feeds]]\nurl = 'https://x'\n", "unknown key 'feeds'"),
    ("[[feed]]\nname = 'x'\n", "/feed/0/url: is required"),
    ("[[feed]]\nurl = 'ftp://x'\n", "/feed/0/url: must be an http"),
    ("[[feed]]\nurl = 'https://x'\nevery_s = 0\n", "/feed/0/every_s"),
    ("[[feed]]\nurl = 'https://x'\nevry_s = 9\n", "/feed/0/evry_s: unknown key"),
    ("[defaults]\nevry_s = 9\n", '/defaults/evry_s: unknown key (did you mean "every_s"?)'),
    ("[defaults]\nurl = 'https://x'\n", "/defaults/url: unknown key"),
    ("[defaults]\nmax_age_s = -1\n", "/defaults/max_age_s"),
    ("defaults = 5\n", "defaults must be a table"),
    ("[[feed]]\nurl = 'https://x'\nid = 'A b'\n", "/feed/0/id: must be 1 to 64 characters"),
    ("[[feed]]\nid='a'\nurl = 'https://x'\n[[feed]]\nid='a'\nurl = 'https://y'\n", "two feeds have the id 'a'"),
    (
        "[[feed]]\nurl = 'https://x'\nbearer_env = 'NO_SUCH_1'\n",
        "/feed/0/bearer_env: the variable NO_SUCH_1 is not set",
    ),
    ("[[feed]]\nurl = 'https://x'\nuser_agent = \"a\\nb\"\n", "/feed/0/user_agent: must be printable ASCII"),
]


@pytest.mark.parametrize(("text", "part"), BAD_CATALOGUES)
def test_invalid_feeds_file_is_reported_with_its_place(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(text)

    with pytest.raises(InvalidFeedsFile) as caught:
        read_feeds(str(path))

    assert part in str(caught.value)


def test_missing_feeds_file_is_reported() -> None:
    with pytest.raises(InvalidFeedsFile, match="nowhere"):
        read_feeds("/nowhere/feeds.toml")


class InThisProcess:
    """A parser that needs no other process."""

    async def parse(self, body: bytes, url: str, http_charset: str) -> FeedDocument:
        return parse(body, url, http_charset)

    async def close(self) -> None:
        pass


class Wire:
    """A poller of the feeds of one server, whose items are stored at once."""

    def __init__(self, feeds: FeedServer, stores: Stores | None = None) -> None:
        self.feeds = feeds
        self.stores = stores or memory_stores()
        self.clock, self.stats = FakeClock(NOW), Stats()
        self.queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
        self.items: list[IncomingItem] = []
        self.step_s = 1.0
        self.poller = self.polling()

    def polling(self, *configs: FeedConfig) -> RssPoller:
        """Return a poller of these feeds; without any, of one that publishes whatever it has."""
        every = configs or (FeedConfig(url=self.feeds.url(), id="f", max_age_s=0, first_look_age_s=0),)
        intake = FeedIntake(self.stores.log, self.stores.seen, self.queue, self.clock)
        # One host has all feeds of a test.
        limits = Limits().with_values({"feeds.fetches_per_s_per_host": 1_000.0}).feeds
        self.poller = RssPoller(every, intake, self.stores.seen, InThisProcess(), limits, self.clock, self.stats)
        return self.poller

    async def polled(self, times: int) -> None:
        """Let time pass until this number of polls was answered."""
        async with within():
            while sum(self.stats.intake.fetches.values()) < times:
                self.clock.move(self.step_s)
                await asyncio.sleep(0.001)
                while not self.queue.empty():
                    arrived = self.queue.get_nowait()
                    self.items.append(arrived)
                    if arrived.stored is not None:
                        arrived.stored.set_result(Appended("x", len(self.items), is_duplicate=False))

    async def run(self, times: int) -> None:
        """Poll until this number of polls was answered, and stop."""
        task = asyncio.create_task(self.poller.run())
        await self.polled(times)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    @property
    def links(self) -> list[str]:
        return [arrived.raw.url for arrived in self.items]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    feeds = FeedServer()
    await feeds.server.start_server()
    yield Wire(feeds)
    await feeds.server.close()


def served(*bodies: str) -> Callable[[web.Request], web.Response]:
    """Return an answer that shows one body after the other, and then the last again."""
    rest = list(bodies)
    return lambda _request: web.Response(text=rest.pop(0) if len(rest) > 1 else rest[0])


async def test_poller_passes_on_new_entries_only(wire: Wire) -> None:
    story = "<title>t{0}</title><link>https://e.com/{0}</link>"
    one, two, three = map(story.format, range(3))
    wire.feeds.answer = served(rss(one, two), rss(two), rss(three, one))
    await wire.run(5)

    assert wire.links == ["https://e.com/0", "https://e.com/1", "https://e.com/2"]
    assert {arrived.raw.source_account for arrived in wire.items} == {"Wire"}
    assert wire.stats.intake.entries == {EntryOutcome.PUBLISHED: 3, EntryOutcome.REPEATED: 6}


async def test_configured_name_replaces_the_feeds_own(wire: Wire) -> None:
    wire.feeds.answer = served(rss("<title>t</title>"))
    wire.polling(FeedConfig(url=wire.feeds.url(), name="Desk", first_look_age_s=0))
    await wire.run(1)

    assert [arrived.raw.source_account for arrived in wire.items] == ["Desk"]


async def test_failing_feed_backs_off_and_recovers(wire: Wire) -> None:
    wire.feeds.answer = lambda _request: web.Response(text="<html>down</html>")
    polling = asyncio.create_task(wire.poller.run())
    await wire.polled(1)
    assert (wire.poller.total, wire.poller.active) == (1, 0)
    began = wire.clock.monotonic()
    await wire.polled(2)
    assert wire.clock.monotonic() - began >= 100
    wire.feeds.answer = served(rss("<title>t</title>"))
    await wire.polled(3)
    polling.cancel()

    assert wire.poller.active == 1
    assert wire.stats.intake.fetches == {Fetch.FAILED: 2, Fetch.NEW: 1}


@pytest.mark.parametrize("retry_after", ["500", "Fri, 15 Jan 2027 08:08:20 GMT"])
async def test_retry_after_is_respected(wire: Wire, retry_after: str) -> None:
    wire.feeds.answer = lambda _request: web.Response(status=429, headers={"Retry-After": retry_after})
    began = wire.clock.monotonic()
    await wire.run(2)

    assert wire.clock.monotonic() - began >= 490


async def test_feed_may_ask_for_longer_pauses(wire: Wire) -> None:
    wire.feeds.answer = served(rss(head="<ttl>10</ttl>"))
    began = wire.clock.monotonic()
    await wire.run(2)
    assert wire.clock.monotonic() - began >= 600

    began = wire.clock.monotonic()
    wire.polling(FeedConfig(url=wire.feeds.url(), every_s=10, insist=True))
    await wire.run(4)
    assert wire.clock.monotonic() - began < 100


async def test_hours_to_skip_are_skipped(wire: Wire) -> None:
    # It is 08:00 UTC.
    wire.feeds.answer = served(rss(head="<skipHours><hour>8</hour><hour>9</hour></skipHours>"))
    began = wire.clock.monotonic()
    await wire.run(2)

    assert 7_100 <= wire.clock.monotonic() - began <= 7_400


async def test_gone_feed_is_not_asked_again(wire: Wire) -> None:
    wire.feeds.answer = lambda _request: web.Response(status=410)
    other = FeedConfig(url=wire.feeds.url("other.xml"), every_s=10)
    wire.polling(FeedConfig(url=wire.feeds.url(), every_s=1), other)
    task = asyncio.create_task(wire.poller.run())
    await wire.polled(2)
    wire.feeds.answer = served(rss())
    wire.poller.replace([FeedConfig(url=wire.feeds.url(), every_s=1), FeedConfig(url=wire.feeds.url("third.xml"))])
    await wire.polled(5)
    task.cancel()

    assert [request.path for request in wire.feeds.requests].count("/feed.xml") == 1
    assert (wire.poller.total, wire.poller.active) == (2, 1)


async def test_moved_feed_is_asked_at_its_new_address(wire: Wire) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path == "/feed.xml":
            return web.Response(status=301, headers={"Location": "/moved.xml"})
        return web.Response(text=rss("<title>t</title>"))

    wire.feeds.answer = answer
    await wire.run(3)
    # Also after a restart.
    wire.polling()
    await wire.run(5)

    paths = [request.path for request in wire.feeds.requests]
    assert paths == ["/feed.xml", *["/moved.xml"] * 5]
    assert len(wire.items) == 1


async def test_changed_address_forgets_the_old_one(wire: Wire) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path == "/feed.xml":
            return web.Response(status=301, headers={"Location": "/moved.xml"})
        return web.Response(text=rss("<title>t</title>"), headers={"ETag": '"1"'})

    wire.feeds.answer = answer
    await wire.run(1)
    wire.polling(FeedConfig(url=wire.feeds.url("other.xml"), id="f", first_look_age_s=0))
    await wire.run(2)

    assert [request.path for request in wire.feeds.requests] == ["/feed.xml", "/moved.xml", "/other.xml"]
    assert "If-None-Match" not in wire.feeds.requests[-1].headers
    assert wire.stats.intake.entries == {EntryOutcome.PUBLISHED: 1, EntryOutcome.REPEATED: 1}


async def test_feed_that_moved_back_is_found(wire: Wire) -> None:
    is_back = False

    def answer(request: web.Request) -> web.Response:
        if request.path == "/moved.xml":
            return web.Response(status=404) if is_back else web.Response(text=rss("<title>t</title>"))
        if is_back:
            return web.Response(text=rss("<title>t</title>"))
        return web.Response(status=301, headers={"Location": "/moved.xml"})

    wire.feeds.answer = answer
    await wire.run(1)
    is_back = True
    await wire.run(5)
    # Also after a restart.
    wire.polling()
    await wire.run(6)

    paths = [request.path.strip("/") for request in wire.feeds.requests]
    assert paths == ["feed.xml", "moved.xml", "moved.xml", "moved.xml", "feed.xml", "feed.xml", "feed.xml"]


async def test_validators_outlive_a_restart(wire: Wire) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == 'W/"1"':
            return web.Response(status=304)
        return web.Response(text=rss("<title>t</title>"), headers={"ETag": 'W/"1"'})

    wire.feeds.answer = answer
    await wire.run(2)
    wire.polling()
    await wire.run(4)

    assert wire.stats.intake.fetches == {Fetch.NEW: 1, Fetch.UNCHANGED: 3}
    assert wire.stats.intake.entries == {EntryOutcome.PUBLISHED: 1}


async def test_unchanged_feed_is_read_once_a_day(wire: Wire) -> None:
    def answer(request: web.Request) -> web.Response:
        if "If-None-Match" in request.headers:
            return web.Response(status=304)
        return web.Response(text=rss("<title>t</title>"), headers={"ETag": '"1"'})

    wire.feeds.answer = answer
    wire.polling(FeedConfig(url=wire.feeds.url(), every_s=20_000, first_look_age_s=0))
    wire.step_s = 100.0
    await wire.run(7)

    whole = ["If-None-Match" not in request.headers for request in wire.feeds.requests]
    assert whole == [True, False, False, False, False, True, False]


async def test_notices_count_as_failure(wire: Wire) -> None:
    notice = "<title>RSS reader not yet whitelisted!</title><link>https://n.example/</link>"
    wire.feeds.answer = served(rss(notice).replace("Wire", "Desk / @desk"))
    await wire.run(2)

    assert wire.items == []
    assert wire.stats.intake.fetches == {Fetch.FAILED: 2}
    assert wire.stats.intake.entries == {EntryOutcome.NOTICE: 2}


async def test_sample_wire_repeats_with_new_items() -> None:
    items = WIRE[:2]
    queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
    clock = FakeClock(NOW)
    playing = asyncio.create_task(SampleWire(items, queue, clock, interval_s=1.0).run())

    links = []
    for _ in range(4):
        links.append(canonical((await soon(queue.get())).raw.url))
        clock.move(1.0)
    playing.cancel()

    assert len(set(links)) == 4


def test_sample_wire_covers_every_category() -> None:
    assert len(WIRE) == 200
    assert len({str(item["url"]) for item in WIRE}) == 200
    assert {item["source"] for item in WIRE} == {"rss", "nitter"}
