"""Fetching a feed: validators, redirects, compression, what its server asks for, limits, and private addresses."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from app.adapters.sources.rss.config import FeedConfig
from app.adapters.sources.rss.fetching import Fetched, FetchFailed, Validators, fetch
from app.adapters.sources.rss.public_addresses import is_public, session_for
from app.core.limits import Limits
from tests.support.feeds import RSS, FeedServer

NOW = 1_800_000_000.0
NO_HEADERS = FeedConfig(url="https://e.com/").headers_for
GZIPPED = gzip.compress(RSS.encode())


@pytest.fixture
async def feeds() -> AsyncIterator[FeedServer]:
    feeds = FeedServer()
    await feeds.server.start_server()
    yield feeds
    await feeds.server.close()


async def fetch_once(feeds: FeedServer, limits: Limits = Limits(), known: Validators = Validators()) -> bytes | None:  # noqa: B008
    async with session_for(FeedConfig(url=feeds.url())) as session:
        return (await fetch(session, feeds.url(), known, limits.feeds, NO_HEADERS, NOW)).body


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
        (web.Response(status=302, headers={"Location": "/feed.xml"}), "more than 3 redirects"),
        (web.Response(body=GZIPPED[:-9], headers={"Content-Encoding": "gzip"}), "cut off"),
        (web.Response(body=GZIPPED[:12] + b"rubbish", headers={"Content-Encoding": "gzip"}), "error"),
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
            assert (await fetch(session, url, Validators(), Limits().feeds, NO_HEADERS, NOW)).body == RSS.encode()
        else:
            with pytest.raises(FetchFailed, match=r"127\.0\.0\.1 is not a public address"):
                await fetch(session, url, Validators(), Limits().feeds, NO_HEADERS, NOW)
    # One allowed name does not allow another.
    async with session_for(FeedConfig(url="http://admitted.example/", private=True)) as session:
        with pytest.raises(FetchFailed, match="not a public address"):
            await fetch(session, url, Validators(), Limits().feeds, NO_HEADERS, NOW)


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
            await fetch(
                session, url, Validators(), Limits().with_values({"feeds.fetch_timeout_s": 0.1}).feeds, NO_HEADERS, NOW
            )
    given_up.set()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)


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


async def fetched(feeds: FeedServer, url: str = "") -> Fetched:
    async with session_for(FeedConfig(url=feeds.url())) as session:
        return await fetch(session, url or feeds.url(), Validators(), Limits().feeds, NO_HEADERS, NOW)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (GZIPPED, "gzip"),
        (GZIPPED, "x-gzip"),
        (GZIPPED, ""),
        (RSS.encode(), "gzip"),
        (RSS.encode(), "deflate"),
        (zlib.compress(RSS.encode()), "deflate"),
        (zlib.compress(RSS.encode(), wbits=-15), "deflate"),
    ],
)
async def test_first_bytes_tell_the_compression(feeds: FeedServer, body: bytes, encoding: str) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    feeds.answer = lambda _request: web.Response(body=body, headers=headers)

    assert (await fetched(feeds)).body == RSS.encode()


def hops(*statuses: int) -> dict[str, int]:
    return {f"/hop{number}": status for number, status in enumerate(statuses)}


@pytest.mark.parametrize(
    ("statuses", "moved_to"),
    [((302, 302, 302), ""), ((301,), "/hop1"), ((301, 308), "/hop2"), ((301, 302), "/hop1"), ((302, 301), "")],
)
async def test_permanent_redirects_are_told(feeds: FeedServer, statuses: tuple[int, ...], moved_to: str) -> None:
    def answer(request: web.Request) -> web.Response:
        number = int(request.path.removeprefix("/hop"))
        if number == len(statuses):
            return web.Response(text=RSS)
        return web.Response(status=statuses[number], headers={"Location": f"hop{number + 1}"})

    feeds.answer = answer
    found = await fetched(feeds, feeds.url("hop0"))

    assert (found.body, found.url) == (RSS.encode(), feeds.url(f"hop{len(statuses)}"))
    assert found.moved_to == (feeds.url(moved_to[1:]) if moved_to else "")


async def test_headers_stay_with_their_host(feeds: FeedServer) -> None:
    other = FeedServer()
    await other.server.start_server()
    feeds.answer = lambda _request: web.Response(status=302, headers={"Location": other.url()})
    config = FeedConfig(url=feeds.url(), headers={"Authorization": "secret"}, user_agent="desk@e.com")
    async with session_for(config) as session:
        await fetch(session, feeds.url(), Validators(), Limits().feeds, config.headers_for, NOW)
    await other.server.close()

    assert feeds.requests[0].headers["Authorization"] == "secret"
    assert "Authorization" not in other.requests[0].headers
    assert other.requests[0].headers["User-Agent"] == "desk@e.com"
    assert config.headers_for(feeds.url().replace("http:", "https:")) == {"User-Agent": "desk@e.com"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("Fri, 15 Jan 2027 08:01:30 GMT", 90.0), ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0), ("soon", 0.0)],
)
async def test_retry_after_has_two_forms(feeds: FeedServer, text: str, seconds: float) -> None:
    feeds.answer = lambda _request: web.Response(status=429, headers={"Retry-After": text})

    with pytest.raises(FetchFailed) as failed:
        await fetched(feeds)

    assert failed.value.retry_after_s == seconds


async def test_what_headers_say_is_returned(feeds: FeedServer) -> None:
    headers = {"Content-Type": "text/xml; charset=windows-1251", "Cache-Control": "public, max-age=300", "ETag": '"1"'}
    feeds.answer = lambda _request: web.Response(text="x", headers=headers)
    found = await fetched(feeds)

    assert (found.charset, found.max_age_s, found.validators) == ("windows-1251", 300.0, Validators('"1"'))


async def test_gone_feed_is_told(feeds: FeedServer) -> None:
    feeds.answer = lambda _request: web.Response(status=410)

    with pytest.raises(FetchFailed) as failed:
        await fetched(feeds)

    assert failed.value.is_gone
