"""Which pages may open a socket: decided before the 101, whatever a page claims."""

from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.config import read_settings
from app.options import InvalidSetting
from tests.support.server import RunningServer, running
from tests.support.tokens import SECRET

DESK = "https://desk.example"
# The result for each origin if only that of the desk is configured.
NAMED = {
    DESK: 101,
    f"{DESK}/": 101,
    f"{DESK}:443": 101,
    "HTTPS://Desk.Example": 101,
    f"{DESK}:8443": 403,
    "http://desk.example": 403,
    "https://sub.desk.example": 403,
    f"{DESK}.evil.example": 403,
    "http://localhost:3000": 403,
    "null": 403,
}
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
REFUSED = [
    "https://evil.example",
    "null",
    "",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example:8000",
    "http://evil.example:8000",
    "https://localhost@evil.example",
    "http://localhost/path",
    "http://localhost//",
    "ftp://localhost",
    "localhost",
    "file://",
    "http://[::1",
    "http://10.0.0.1:8000",
]


async def status_of(server: RunningServer, *origins: str) -> int:
    """Return the status of an upgrade request with these Origin headers; 101 is success."""
    headers = [("Origin", origin) for origin in origins]
    try:
        async with connect(f"{server.ws_url}?user_id=u", additional_headers=headers):
            return 101
    except InvalidStatus as refused:
        is_problem = b'"code":"origin_not_allowed"' in refused.response.body
        return refused.response.status_code if is_problem else -1


@pytest.mark.parametrize("origin", REFUSED)
async def test_foreign_page_is_refused(server: RunningServer, origin: str) -> None:
    assert await status_of(server, origin) == 403
    assert await server.metric("news_handshake_failures_total", reason="forbidden_origin") == 1
    assert await server.metric("news_connections_opened_total") == 0


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "HTTP://LOCALHOST", "http://127.0.0.1:8000", "http://[::1]"]
)
async def test_local_pages_may_connect_by_default(server: RunningServer, origin: str) -> None:
    assert await status_of(server, origin) == 101


async def test_client_without_origin_may_connect(server: RunningServer) -> None:
    assert await status_of(server) == 101


async def test_two_origin_headers_are_refused(server: RunningServer) -> None:
    assert await status_of(server, "http://localhost", "http://localhost") == 403


async def test_configured_origins_are_exact() -> None:
    async with running(allowed_origins=(DESK,)) as server:
        answers = {origin: await status_of(server, origin) for origin in NAMED}

    assert answers == NAMED


async def status(server: RunningServer, host: str, origin: str = "", method: str = "", **more: str) -> tuple[int, str]:
    """Return the status and the error's code of an upgrade request, or of a call that changes something."""
    headers = {"Host": host, **({"Origin": origin} if origin else {}), **more}
    path = f"{server.url}/api/v1/subscriptions/u" if method else f"{server.url}/ws/news?user_id=u"
    async with server.http.request(method or "GET", path, headers=headers | ({} if method else HANDSHAKE)) as answer:
        if answer.status == 101:
            return 101, ""
        return answer.status, (await answer.json(content_type=None))["code"]


REFUSED_ORIGIN, REFUSED_HOST = (403, "origin_not_allowed"), (421, "host_not_allowed")


@pytest.mark.parametrize(
    "host", ["192.0.2.7:8000", "localhost:8000", "news.localhost", "[2001:db8::1]:80", "127.0.0.1"]
)
async def test_own_page_may_connect_and_change(server: RunningServer, host: str) -> None:
    assert await status(server, host, f"http://{host}") == (101, "")
    assert await status(server, host, f"http://{host}/") == (101, "")
    assert await status(server, host, f"http://{host}", "DELETE") == (404, "not_found")
    assert await status(server, host, "https://evil.example", "DELETE") == REFUSED_ORIGIN
    assert await status(server, host, "null", "DELETE") == REFUSED_ORIGIN
    assert await status(server, host, "", "DELETE") == (404, "not_found")


@pytest.mark.parametrize(
    "host", ["rebound.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "x", "[::1"]
)
async def test_rebound_name_is_refused_without_tokens(server: RunningServer, host: str) -> None:
    for method in ("", "DELETE"):
        assert await status(server, host, f"http://{host}", method) == REFUSED_HOST
        assert await status(server, host, "", method) == REFUSED_HOST
    async with server.http.get(f"{server.url}/livez", headers={"Host": host}) as answer:
        assert answer.status == 200
    async with server.http.get(f"{server.url}/metrics", headers={"Host": host}) as answer:
        assert answer.status == 200
    async with server.http.get(server.url, headers={"Host": host}) as answer:
        assert answer.status == 421
    assert await server.metric("news_handshake_failures_total", reason="forbidden_host") == 2


async def test_named_host_is_served() -> None:
    async with running(allowed_hosts=("news.example",)) as server:
        assert await status(server, "news.example:8000", "http://news.example:8000") == (101, "")
        assert await status(server, "other.example") == REFUSED_HOST


@pytest.mark.parametrize("settings", [{"allow_anonymous": True}, {"allow_anonymous": True, "allowed_origins": (DESK,)}])
async def test_any_name_is_served_to_other_machines(settings: dict[str, Any]) -> None:
    async with running(**settings) as server:
        assert await status(server, "news:23000", "http://news:23000") == (101, "")
        assert await status(server, "news:23000", "http://evil.example") == REFUSED_ORIGIN


async def test_named_hosts_bind_with_tokens_too() -> None:
    async with running(jwt_secret=SECRET, allowed_hosts=("news.example",)) as server:
        assert (await status(server, "news.example"))[0] == 401
        assert await status(server, "other.example") == REFUSED_HOST


async def test_scheme_of_a_trusted_proxy_counts() -> None:
    async with running(allow_anonymous=True, trusted_proxies=("127.0.0.0/8",)) as server:
        page = ("news.example", "https://news.example")
        assert await status(server, *page, **{"X-Forwarded-Proto": "https"}) == (101, "")
        assert await status(server, *page) == REFUSED_ORIGIN
    async with running(allow_anonymous=True) as server:
        assert await status(server, *page, **{"X-Forwarded-Proto": "https"}) == REFUSED_ORIGIN


async def test_listed_origins_may_change_things() -> None:
    async with running(allowed_origins=(DESK,), cors_origins=("https://app.example",)) as server:
        for origin in (DESK, "https://app.example"):
            assert await status(server, "localhost", origin, "DELETE") == (404, "not_found")
        assert await status(server, "localhost", "https://app.example") == REFUSED_ORIGIN


@pytest.mark.parametrize("origin", ["null", "file://", "chrome-extension://abcdef", "capacitor://localhost"])
async def test_any_origin_can_be_listed(origin: str) -> None:
    [listed] = read_settings({"NEWS_ALLOWED_ORIGINS": origin}, {}).allowed_origins
    async with running(allowed_origins=(listed,)) as server:
        assert await status_of(server, origin) == 101
        assert await status_of(server, "app://other") == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://*.example.com",
        "https://a.example.com/path",
        "a.example.com",
        "https://",
        "https://u@a.example",
        "*",
        "//a",
    ],
)
def test_origin_that_matches_no_page_is_refused(origin: str) -> None:
    with pytest.raises(InvalidSetting, match=r"must be exact http\(s\) origins"):
        read_settings({"NEWS_ALLOWED_ORIGINS": origin}, {})
