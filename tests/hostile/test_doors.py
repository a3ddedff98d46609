"""Invalid credentials are refused at every entrance, each with the right code.

`make hostile` prints the tables: what was tried, and how the header, the first message and REST answered.
"""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.process import server_process
from tests.support.server import RunningServer
from tests.support.time_limits import soon
from tests.support.tokens import EC, ED, LIFE_S, RSA, SECRET, forged, pem, token

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]

NOW = int(time.time())
CLAIMS = {"sub": "eve", "exp": NOW + LIFE_S}
PUBLIC = pem(RSA)
SIGNED: dict[str, Any] = {"key": RSA, "algorithm": "RS256", "aud": "news", "iss": "desk"}


def hmac_signed(key: bytes, **header: str) -> str:
    """Sign with any bytes as the secret of HMAC, which PyJWT refuses to do."""
    claims = CLAIMS | {"aud": "news", "iss": "desk"}
    unsigned = forged({"alg": "HS256", "typ": "JWT"} | header, claims).rpartition(".")[0]
    signature = hmac.new(key, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


UNAUTHORIZED, EXPIRED = (401, "unauthorized", 4502), (401, "token_expired", 4501)
PAPERS: list[tuple[str, str, tuple[int, str, int]]] = [
    ("alg none", forged({"alg": "none", "typ": "JWT"}, CLAIMS), UNAUTHORIZED),
    ("RS256 taken for HS256", hmac_signed(PUBLIC.encode()), UNAUTHORIZED),
    ("HS256 with a guessed secret", token("eve", key=SECRET, aud="news", iss="desk"), UNAUTHORIZED),
    ("ES256 for an RSA key", token("eve", **SIGNED | {"key": EC, "algorithm": "ES256"}), UNAUTHORIZED),
    ("EdDSA for an RSA key", token("eve", **SIGNED | {"key": ED, "algorithm": "EdDSA"}), UNAUTHORIZED),
    ("no signature", token("eve", **SIGNED).rpartition(".")[0] + ".", UNAUTHORIZED),
    ("no exp", token("eve", exp=None, **SIGNED), UNAUTHORIZED),
    ("exp in the year 9999", token("eve", exp=253_402_300_799, **SIGNED), UNAUTHORIZED),
    ("expired", token("eve", life_s=-60, **SIGNED), EXPIRED),
    ("aud of another service", token("eve", **SIGNED | {"aud": "bank"}), UNAUTHORIZED),
    ("no aud", token("eve", **SIGNED | {"aud": None}), UNAUTHORIZED),
    ("iss of another signer", token("eve", **SIGNED | {"iss": "eve"}), UNAUTHORIZED),
    (
        "kid is a path",
        hmac_signed(b"", kid="../../../dev/null"),
        UNAUTHORIZED,
    ),
    ("jwk of its own", token("eve", header={"jwk": {"kty": "RSA"}}, **SIGNED), UNAUTHORIZED),
    ("jku of its own", token("eve", header={"jku": "http://127.0.0.1:9/"}, **SIGNED), UNAUTHORIZED),
    ("crit", token("eve", header={"crit": ["b64"]}, **SIGNED), UNAUTHORIZED),
    ("ent with a key nobody knows", token("eve", ent={"tier": "gold"}, **SIGNED), UNAUTHORIZED),
    ("revoked", token("revoked", iat=NOW - 10, **SIGNED), UNAUTHORIZED),
    ("a heap of 8 KB", "x" * 8_000, UNAUTHORIZED),
]


@pytest.fixture
async def closed() -> AsyncIterator[RunningServer]:
    environment = {"NEWS_JWT_PUBLIC_KEY": PUBLIC, "NEWS_JWT_AUDIENCE": "news", "NEWS_JWT_ISSUER": "desk"}
    async with server_process("--database", ":memory:", environment=environment) as process:
        yield process.server


def bearer(given: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {given}"}


async def at_the_upgrade(server: RunningServer, **options: Any) -> tuple[int, str]:
    """Return the status of an upgrade, and the error's code."""
    try:
        async with connect(f"{server.ws_url}?user_id=eve", **options):
            return 101, ""
    except InvalidStatus as refused:
        return refused.response.status_code, json.loads(refused.response.body)["code"]


async def as_first_message(server: RunningServer, given: str) -> int:
    """Return the close code that a first message leads to."""
    async with connect(f"{server.ws_url}?v=2") as socket:
        await socket.send(json.dumps({"type": "auth", "token": given}))
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                await soon(socket.recv())
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code


async def call(server: RunningServer, method: str, path: str, headers: dict[str, str], **more: Any) -> tuple[int, str]:
    async with server.http.request(method, f"{server.url}/api/v1/{path}", headers=headers, **more) as answer:
        document = await answer.json(content_type=None) if "json" in answer.content_type else {}
        return answer.status, document.get("code", "")


async def test_invalid_tokens_are_refused_everywhere(closed: RunningServer) -> None:
    operator = bearer(token("ann", scope="news:admin", **SIGNED))
    assert (await call(closed, "DELETE", "users/revoked/tokens", operator))[0] == 200
    assert await at_the_upgrade(closed, additional_headers=bearer(token("eve", **SIGNED))) == (101, "")
    opened = await closed.metric("news_connections_opened_total")
    for name, given, (status, code, close) in PAPERS:
        seen = (
            await at_the_upgrade(closed, additional_headers=bearer(given)),
            await as_first_message(closed, given),
            await call(closed, "GET", "news", bearer(given)),
        )
        print(f"\n{name:30} upgrade {seen[0]}, first message {seen[1]}, REST {seen[2]}")  # noqa: T201 - the table
        assert seen == ((status, code), close, (status, code)), name
    assert await closed.metric("news_connections_opened_total") == opened


async def test_token_of_one_user_opens_nothing_else(closed: RunningServer) -> None:
    alice = bearer(token("alice", **SIGNED))
    wishes = {"user_id": "bob", "impact_threshold": 0}
    tried = {
        "her socket as bob": await _upgrade_as_bob(closed, alice),
        "storing bob's filter": await call(closed, "POST", "subscriptions", alice, json=wishes),
        "reading bob's filter": await call(closed, "GET", "subscriptions/bob", alice),
        "dropping bob's filter": await call(closed, "DELETE", "subscriptions/bob", alice),
        "news as bob": await call(closed, "GET", "news?user_id=bob", alice),
        "publishing": await call(closed, "POST", "news", alice, json={}),
        "who is connected": await call(closed, "GET", "connections", alice),
        "ending a connection": await call(closed, "DELETE", "connections/c_1", alice),
        "revoking bob's tokens": await call(closed, "DELETE", "users/bob/tokens", alice),
    }
    for name, seen in tried.items():
        print(f"\n{name:30} {seen}")  # noqa: T201 - the table

    assert set(tried.values()) == {(403, "forbidden")}


async def _upgrade_as_bob(server: RunningServer, headers: dict[str, str]) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{server.ws_url}?user_id=bob", additional_headers=headers)
    return refused.value.response.status_code, json.loads(refused.value.response.body)["code"]


STRANGE_PAGES = [
    *("null", "https://evil.example", "http://trader.example", "https://trader.example.evil.example", ""),
    *(
        "https://trader.example:444",
        "https://trader.example/x",
        "https://user@trader.example",
    ),
    *(
        "file://",
        "chrome-extension://abcdef",
        "https://TRADER.example.",
        "https://trader.example, https://evil.example",
    ),
]


async def test_foreign_origins_are_refused() -> None:
    environment = {"NEWS_ALLOWED_ORIGINS": "https://trader.example"}
    async with server_process("--database", ":memory:", environment=environment) as process:
        for origin in STRANGE_PAGES:
            seen = await at_the_upgrade(process.server, additional_headers={"Origin": origin})
            print(f"\nOrigin {origin!r:45} {seen}")  # noqa: T201 - the table
            assert seen == (403, "origin_not_allowed"), origin
        own = await at_the_upgrade(process.server, additional_headers={"Origin": "https://trader.example"})
        assert own == (101, "")
        assert await process.server.metric("news_connections_opened_total") == 1
