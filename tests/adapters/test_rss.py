"""Feeds: the configuration file, fetching with its limits, parsing, and the poller against a real
server on loopback.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.adapters.data.vocabularies import load_sample_wire
from app.adapters.sources.rss.config import FeedConfig, InvalidFeedsFile, read_feeds
from app.adapters.sources.rss.fetching import FetchFailed, Validators, fetch
from app.adapters.sources.rss.parsing import ParseFailed, parse
from app.adapters.sources.rss.poller import RssPoller
from app.adapters.sources.rss.public_addresses import is_public, session_for
from app.adapters.sources.sample import SampleWire
from app.core.limits import Limits
from app.core.news.urls import canonical
from app.flows.news.process import IncomingItem
from app.telemetry.labels import Fetch
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.time_limits import soon

NOW = 1_800_000_000.0
WIRE = load_sample_wire()

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Example Markets</title>
<item><title>Newer &amp; better</title><link>https://e.com/2</link><description>&lt;p&gt;Two&lt;/p&gt;</description>
<pubDate>Tue, 02 Jan 2024 10:00:00 GMT</pubDate></item>
<item><title>Older</title><link>https://e.com/1</link><pubDate>Mon, 01 Jan 2024 10:00:00 GMT</pubDate></item>
<item><title>No link</title></item>
<item><title>Bad link</title><link>javascript:alert(1)</link></item>
<item><title>From the future</title><link>https://e.com/3</link><pubDate>Mon, 01 Jan 2199 10:00:00 GMT</pubDate></item>
</channel></rss>"""

ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Atom wire</title>
<entry><title>One</title><link href="https://e.com/a"/><updated>2024-01-01T10:00:00Z</updated>
<content type="html">&lt;b&gt;x&lt;/b&gt;</content></entry></feed>"""

RDF = """<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel rdf:about="x"><title>RDF wire</title></channel>
<item rdf:about="https://e.com/r"><title>R</title><link>https://e.com/r</link></item></rdf:RDF>"""


def test_entries_are_oldest_first_without_unusable_ones() -> None:
    raws = parse(RSS.encode(), "", NOW, 200)

    assert [raw.url for raw in raws] == ["https://e.com/1", "https://e.com/2", "https://e.com/3"]
    assert raws[0].published_at == 1_704_103_200.0
    assert raws[2].published_at == NOW
    assert {raw.source_account for raw in raws} == {"Example Markets"}
    assert raws[0].content == "Older"
    assert "Two" in raws[1].content


def test_configured_name_replaces_the_feeds_own() -> None:
    assert parse(ATOM.encode(), "Desk", NOW, 200)[0].source_account == "Desk"


def test_forgiving_parser_reads_what_the_fast_one_misses() -> None:
    [raw] = parse(RDF.encode(), "", NOW, 200)

    assert (raw.url, raw.source_account, raw.published_at) == ("https://e.com/r", "RDF wire", NOW)


def test_feed_without_entries_is_valid() -> None:
    assert parse(b'<rss version="2.0"><channel><title>Quiet</title></channel></rss>', "", NOW, 200) == []


def test_entries_are_limited() -> None:
    assert len(parse(RSS.encode(), "", NOW, 1)) == 1


BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>' + RSS.split("?>", 1)[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Not found</body></html>",
        b"\x00\x01",
        b'{"a":1}',
        BOMB.encode(),
        BOMB.encode("utf-16"),
    ],
)
def test_invalid_or_unsafe_feeds_are_rejected(body: bytes) -> None:
    with pytest.raises(ParseFailed):
        parse(body, "", NOW, 200)


ODDITIES = [
    b'{"version":"https://jsonfeed.org/version/1.1","title":7,"items":[%b]}' % item
    for item in (
        b'{"title":5,"url":"https://e.com/1"}',
        b'{"title":["x"],"url":"https://e.com/1","content_html":{}}',
        b'{"title":"t","url":7}',
        b'{"title":"t","url":"http://a/\\ud800"}',
        b'{"title":"\\ud800 t","url":"https://e.com/1","content_text":"\\udfff"}',
        b'{"title":"t","url":"https://e.com/1","date_published":true,"tags":5}',
        b"5",
    )
]


@pytest.mark.parametrize("body", ODDITIES)
def test_json_feed_with_wrong_types_is_tolerated(body: bytes) -> None:
    try:
        raws = parse(body, "", NOW, 200)
    except ParseFailed:
        return

    assert all(isinstance(raw.title, str) and isinstance(raw.content, str) for raw in raws)


def test_feeds_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(
        '[[feed]]\nurl = "https://e.com/a.xml"\n[[feed]]\nurl = "http://e.com/b"\nname = "B"\nevery_s = 5\n'
        '[[feed]]\nurl = "https://e.com/a.xml"\n'
    )

    assert read_feeds(str(path)) == [
        FeedConfig(url="https://e.com/a.xml"),
        FeedConfig(url="http://e.com/b", name="B", every_s=5.0),
    ]


BAD_CATALOGUES = [
    ("[[feed]\n", "feeds.toml"),
    ("feed = 5\n", "must contain [[feed]] tables"),
    ("[[feeds]]\nurl = 'https://x'\n", "unknown key 'feeds'"),
    ("[[feed]]\nname = 'x'\n", "/feed/0/url: is required"),
    ("[[feed]]\nurl = 'ftp://x'\n", "/feed/0/url: must be an http"),
    ("[[feed]]\nurl = 'https://x'\nevery_s = 0\n", "/feed/0/every_s"),
    ("[[feed]]\nurl = 'https://x'\nevry_s = 9\n", "/feed/0/evry_s: unknown key"),
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


Serve = Callable[[web.Request], web.StreamResponse]


class FeedServer:
    """A web server whose responses a test sets."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer: Serve = lambda _request: web.Response(text=RSS)
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self.server = TestServer(app)

    def url(self, name: str = "feed.xml") -> str:
        return str(self.server.make_url(f"/{name}"))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return self.answer(request)


@pytest.fixture
async def feeds() -> AsyncIterator[FeedServer]:
    feeds = FeedServer()
    await feeds.server.start_server()
    yield feeds
    await feeds.server.close()


async def fetch_once(feeds: FeedServer, limits: Limits = Limits(), known: Validators = Validators()) -> bytes | None:  # noqa: B008
    async with session_for(FeedConfig(url=feeds.url())) as session:
        return (await fetch(session, feeds.url(), known, limits.feeds)).body


async def test_validators_are_sent_and_304_means_unchanged(feeds: FeedServer) -> None:
    feeds.answer = lambda _request: web.Response(status=304)

    body = await fetch_once(feeds, known=Validators('"v1"', "Mon, 01 Jan 2024 10:00:00 GMT"))

    assert body is None
    assert feeds.requests[0].headers["If-None-Match"] == '"v1"'
    assert feeds.requests[0].headers["If-Modified-Since"] == "Mon, 01 Jan 2024 10:00:00 GMT"


async def test_decompressed_body_is_limited(feeds: FeedServer) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    feeds.answer = lambda _request: web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    with pytest.raises(FetchFailed, match="more than 100000 bytes"):
        await fetch_once(feeds, Limits().with_values({"feeds.max_bytes": 100_000}))


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (web.Response(status=500), "status 500"),
        (web.Response(status=302, headers={"Location": "/feed.xml"}), "TooManyRedirects"),
        (web.Response(body=b"no gzip at all" * 9, headers={"Content-Encoding": "gzip"}), "Error"),
    ],
)
async def test_failed_fetch_reports_the_reason(feeds: FeedServer, answer: web.Response, part: str) -> None:
    feeds.answer = lambda _request: web.Response(body=answer.body, status=answer.status, headers=answer.headers)

    with pytest.raises(FetchFailed, match=part):
        await fetch_once(feeds)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.2:{port}/x",
        "http://0x7f.2:{port}/x",
        "http://[::1]:{port}/x",
        "http://[::ffff:127.0.0.3]:{port}/",
    ],
)
async def test_feed_cannot_reach_private_addresses(feeds: FeedServer, elsewhere: str) -> None:
    location = elsewhere.format(port=feeds.server.port)
    feeds.answer = lambda _request: web.Response(status=302, headers={"Location": location})

    with pytest.raises(FetchFailed, match="not a public address"):
        await fetch_once(feeds)

    assert len(feeds.requests) == 1


@pytest.mark.parametrize("name", ["feeds.example", "bücher.example"])
@pytest.mark.parametrize("is_private", [False, True])
async def test_host_name_reaches_private_address_only_if_configured(
    feeds: FeedServer, monkeypatch: pytest.MonkeyPatch, is_private: bool, name: str
) -> None:
    async def resolve(_self: object, host: str, port: int, _family: int) -> list[dict[str, object]]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 6, "flags": 0}]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    url = f"http://{name}:{feeds.server.port}/feed.xml"
    async with session_for(FeedConfig(url=url, private=is_private)) as session:
        if is_private:
            assert (await fetch(session, url, Validators(), Limits().feeds)).body == RSS.encode()
        else:
            with pytest.raises(FetchFailed, match=r"127\.0\.0\.1 is not a public address"):
                await fetch(session, url, Validators(), Limits().feeds)
    # One allowed name does not allow another.
    async with session_for(FeedConfig(url="http://admitted.example/", private=True)) as session:
        with pytest.raises(FetchFailed, match="not a public address"):
            await fetch(session, url, Validators(), Limits().feeds)


@pytest.mark.parametrize(
    ("address", "is_everybodys"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
    ],
)
def test_public_address_classification(address: str, is_everybodys: bool) -> None:
    assert is_public(address) is is_everybodys


async def test_silent_feed_times_out() -> None:
    given_up = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await given_up.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    async with session_for(FeedConfig(url=url)) as session:
        with pytest.raises(FetchFailed, match="no answer within"):
            await fetch(session, url, Validators(), Limits().with_values({"feeds.fetch_timeout_s": 0.1}).feeds)
    given_up.set()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)


async def test_poller_passes_on_new_entries_only(feeds: FeedServer) -> None:
    queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
    clock, stats = FakeClock(NOW), Stats()
    poller = RssPoller([FeedConfig(url=feeds.url(), every_s=60)], queue, Limits().feeds, clock, stats)
    polling = asyncio.create_task(poller.run())
    first = [await soon(queue.get()) for _ in range(3)]
    while not stats.intake.fetches[Fetch.NEW]:
        await asyncio.sleep(0)

    feeds.answer = lambda _request: web.Response(text=RSS.replace("https://e.com/2", "https://e.com/9"))
    clock.move(70)
    later = await soon(queue.get())
    polling.cancel()

    assert [arrival.raw.url for arrival in first] == ["https://e.com/1", "https://e.com/2", "https://e.com/3"]
    assert later.raw.url == "https://e.com/9"
    assert queue.empty()


async def test_failing_feed_backs_off_and_recovers(feeds: FeedServer) -> None:
    queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
    clock, stats = FakeClock(NOW), Stats()
    poller = RssPoller([FeedConfig(url=feeds.url(), every_s=10)], queue, Limits().feeds, clock, stats)
    feeds.answer = lambda _request: web.Response(text="<html>down</html>")
    polling = asyncio.create_task(poller.run())
    while stats.intake.fetches[Fetch.FAILED] < 1:
        await asyncio.sleep(0.001)
    assert (poller.total, poller.active) == (1, 0)

    clock.move(12)
    await asyncio.sleep(0.05)
    assert stats.intake.fetches[Fetch.FAILED] == 1
    feeds.answer = lambda _request: web.Response(text=ATOM)
    clock.move(12)
    arrival = await soon(queue.get())
    while not poller.active:
        await asyncio.sleep(0.001)
    polling.cancel()

    assert arrival.raw.url == "https://e.com/a"


async def test_retry_after_is_respected(feeds: FeedServer) -> None:
    clock, stats = FakeClock(NOW), Stats()
    feeds.answer = lambda _request: web.Response(status=429, headers={"Retry-After": "500"})
    polling = asyncio.create_task(
        RssPoller([FeedConfig(url=feeds.url())], asyncio.Queue(), Limits().feeds, clock, stats).run()
    )
    while stats.intake.fetches[Fetch.FAILED] < 1:
        await asyncio.sleep(0.001)

    clock.move(450)
    await asyncio.sleep(0.05)
    polling.cancel()

    assert stats.intake.fetches[Fetch.FAILED] == 1


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
