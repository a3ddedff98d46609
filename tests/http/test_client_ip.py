"""Limits of one address: open connections and new ones a second, also behind trusted proxies."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.core.errors import ErrorCode, NewsError
from app.core.limits import HeartbeatLimits, Limits
from app.flows.connections.admission import Admission, TooManyFromIp
from app.flows.connections.connect_rate import ConnectRateLimiter
from app.flows.delivery.peer import Peer
from app.options import ProxyHeader
from app.telemetry.labels import LimitHit, RateScope
from app.telemetry.limit_hits import limit_hits
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.server import RunningServer, running

LOOPBACK = ("127.0.0.0/8", "10.0.0.0/8")


@asynccontextmanager
async def holding(
    server: RunningServer, count: int, forwarded: str = "", header: str = "X-Forwarded-For"
) -> AsyncIterator[list[int]]:
    """Try to connect `count` times and hold what succeeds; return the statuses, 429 with its Retry-After."""
    headers = {header: forwarded} if forwarded else {}
    async with AsyncExitStack() as stack:
        statuses = []
        for number in range(count):
            try:
                url = f"{server.ws_url}?user_id=u{number}"
                await stack.enter_async_context(connect(url, additional_headers=headers))
                statuses.append(101)
            except InvalidStatus as refused:
                is_advised = int(refused.response.headers["Retry-After"]) >= 1
                statuses.append(refused.response.status_code if is_advised else 0)
        yield statuses


async def test_connections_per_ip_are_limited_and_freed() -> None:
    async with running(max_connections_per_ip=3, connect_rate_per_ip=1_000.0) as server:
        async with holding(server, 5) as statuses:
            assert statuses == [101, 101, 101, 429, 429]
        assert await server.metric("news_handshake_failures_total", reason="address_limit") == 2
        async with holding(server, 3) as statuses:
            assert statuses == [101, 101, 101]


async def test_connect_rate_per_ip_is_limited() -> None:
    async with running(connect_rate_per_ip=0.1) as server:
        async with holding(server, 4) as statuses:
            assert statuses == [101, 429, 429, 429]
        assert await server.metric("news_rate_limited_total", scope="connect") == 3
        assert await server.metric("news_handshake_failures_total", reason="rate_limited") == 3


async def test_loopback_is_unlimited_by_default(server: RunningServer) -> None:
    async with holding(server, 120) as statuses:
        assert statuses == [101] * 120


FORWARDED: list[tuple[dict[str, Any], list[str], list[int]]] = [
    # Clients behind a trusted proxy are distinguished by the last address that it adds.
    ({"trusted_proxies": LOOPBACK}, ["192.0.2.1", "192.0.2.2", "192.0.2.1"], [101, 101, 429]),
    # What a client adds itself comes before that.
    ({"trusted_proxies": LOOPBACK}, ["1.1.1.1, 192.0.2.1", "2.2.2.2, 192.0.2.1"], [101, 429]),
    # Through several proxies.
    ({"trusted_proxies": LOOPBACK}, ["192.0.2.1, 10.1.1.1", "192.0.2.1, 10.2.2.2"], [101, 429]),
    # One subscriber has a /64.
    ({"trusted_proxies": LOOPBACK}, ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"], [101, 429, 101]),
    # Values that are not addresses count as one client.
    ({"trusted_proxies": LOOPBACK}, ["x", "y"], [101, 429]),
    # All forms of one address are one client, and other addresses are others.
    (
        {"trusted_proxies": LOOPBACK},
        ["203.0.113.1:4711", "203.0.113.2:4711", "203.0.113.1:9", "203.0.113.1", "::ffff:203.0.113.1"],
        [101, 101, 429, 429, 429],
    ),
    (
        {"trusted_proxies": LOOPBACK},
        ["::ffff:203.0.113.1", "::ffff:198.51.100.2", "64:ff9b::cb00:7101", "[2001:db8::1]:443", "2001:db8::2%eth0"],
        [101, 101, 429, 101, 429],
    ),
    # Exactly one header is trusted.
    (
        {"trusted_proxies": LOOPBACK, "proxy_header": ProxyHeader.FORWARDED},
        [
            'For="[2001:db8::1]:4711";proto=https',
            "for=192.0.2.1;by=10.0.0.1, for=10.1.1.1",
            "proto=http;FOR=192.0.2.1:99",
            "for=192.0.2.9, for=_hidden",
            "for=192.0.2.8, for=unknown",
        ],
        [101, 101, 429, 101, 429],
    ),
    # Headers of an untrusted proxy are ignored.
    ({}, ["192.0.2.1", "192.0.2.2"], [101, 429]),
    ({"trusted_proxies": LOOPBACK[1:]}, ["192.0.2.1", "192.0.2.2"], [101, 429]),
]


@pytest.mark.parametrize(("settings", "forwarded", "statuses"), FORWARDED)
async def test_proxy_headers_distinguish_clients(
    settings: dict[str, Any], forwarded: list[str], statuses: list[int]
) -> None:
    async with (
        running(max_connections_per_ip=1, connect_rate_per_ip=1_000.0, **settings) as server,
        AsyncExitStack() as stack,
    ):
        header = settings.get("proxy_header", ProxyHeader.X_FORWARDED_FOR).value
        got = [await stack.enter_async_context(holding(server, 1, one, header)) for one in forwarded]

    assert [status for [status] in got] == statuses


async def test_other_proxy_header_is_ignored() -> None:
    async with (
        running(max_connections_per_ip=1, trusted_proxies=LOOPBACK, proxy_header=ProxyHeader.FORWARDED) as server,
        holding(server, 1, "192.0.2.1", "X-Forwarded-For") as first,
        holding(server, 1, "192.0.2.2", "X-Forwarded-For") as second,
    ):
        assert (first, second) == ([101], [429])


async def test_limit_of_connections_switches_no_rate_on() -> None:
    async with running(max_connections_per_ip=100) as server:
        for _ in range(40):
            async with holding(server, 1) as statuses:
                assert statuses == [101]


def test_refused_address_owes_nothing() -> None:
    clock, stats = FakeClock(), Stats()
    limiter = ConnectRateLimiter(Limits().connections, clock, stats)
    for _ in range(30):
        limiter.check("a")
    with pytest.raises(NewsError) as caught:
        limiter.check("a")
    limiter.check("b")
    clock.move((caught.value.retry_after_s or 0) + 0.01)
    limiter.check("a")

    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert stats.connections.rate_limited == {RateScope.CONNECT: 1}


def test_released_address_leaves_nothing_behind() -> None:
    limits = Limits().with_values({"connections.max_per_ip": 1})
    admission = Admission(limits.connections, FakeClock())
    first = admission.admit("u", peer=Peer("a"))
    with pytest.raises(TooManyFromIp):
        admission.admit("v", peer=Peer("a"))
    admission.release(first)
    admission.release(first)
    for user in ("v", "w"):
        admission.admit(user, peer=Peer(""))
    admission.release(admission.admit("x", peer=Peer("a")))

    assert not admission._by_ip


def test_refused_user_holds_no_place_of_its_address() -> None:
    limits = Limits().with_values({"connections.max_per_ip": 2, "connections.max_per_user": 1})
    admission = Admission(limits.connections, FakeClock())
    admission.admit("u", peer=Peer("a"))
    with pytest.raises(NewsError):
        admission.admit("u", peer=Peer("a"))

    assert admission.admit("v", peer=Peer("a"))


def test_all_addresses_share_one_connect_rate() -> None:
    clock, stats = FakeClock(), Stats()
    limits = Limits().with_values({"connections.connects_per_s": 10.0, "connections.connect_burst": 20.0})
    limiter = ConnectRateLimiter(limits.connections, clock, stats)
    for number in range(20):
        limiter.check(f"a{number}")
    refused = []
    for number in range(50):
        with pytest.raises(NewsError) as caught:
            limiter.check(f"b{number}")
        refused.append(caught.value)
    for _ in range(100):
        limiter.check("")
    clock.move(1.01)
    for number in range(10):
        limiter.check(f"b{number}")

    assert {error.code for error in refused} == {ErrorCode.RATE_LIMITED}
    retries = [error.retry_after_s or 0.0 for error in refused]
    assert 1 <= min(retries) < 3 < 8 < max(retries) <= 10
    assert stats.connections.rate_limited == {RateScope.SERVER_CONNECT: 50}
    assert limit_hits(stats)[LimitHit.SERVER_CONNECT_RATE] == 50


async def test_every_limit_is_listed_by_group(server: RunningServer) -> None:
    limits = (await server.get("/api/v1/limits"))["limits"]

    assert limits["messages"]["max_bytes"] == 16_384
    assert limits["connections"]["max_per_ip"] == 100
    assert limits.keys() == set(Limits.__struct_fields__)
    assert limits["heartbeats"].keys() == set(HeartbeatLimits.__struct_fields__)
