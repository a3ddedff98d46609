"""Which pages may open a socket: decided before the 101, whatever a page claims."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.server import RunningServer, running

DESK = "https://desk.example"
# The result for each origin if only that of the desk is configured.
NAMED = {
    DESK: 101,
    "HTTPS://Desk.Example": 101,
    f"{DESK}:8443": 403,
    "http://desk.example": 403,
    "https://sub.desk.example": 403,
    f"{DESK}.evil.example": 403,
    "http://localhost:3000": 403,
    "null": 403,
}
REFUSED = [
    "https://evil.example",
    "null",
    "",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example:8000",
    "http://evil.example:8000",
    "https://localhost@evil.example",
    "http://localhost/",
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


async def test_own_page_requested_by_ip_may_connect(server: RunningServer) -> None:
    async def status(host: str, origin: str) -> int:
        headers = {"Host": host, "Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket"}
        handshake = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        async with server.http.get(f"{server.url}/ws/news?user_id=u", headers=headers | handshake) as answer:
            return answer.status

    assert await status("192.0.2.7:8000", "http://192.0.2.7:8000") == 101
    assert await status("192.0.2.7:8000", "http://192.0.2.7") == 403
    # A name that points at this machine may belong to any page.
    assert await status("rebound.example:8000", "http://rebound.example:8000") == 403
