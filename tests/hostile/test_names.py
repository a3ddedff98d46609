"""Hostile values in place of names: metrics keep their series, logs their lines, and no token is logged.

A thousand requests with `make test`, ten thousand with `make hostile`.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import pytest

from tests.support.process import spawn
from tests.support.time_limits import soon
from tests.support.tokens import SECRET, token

COUNT = 10_000 if os.environ.get("HOSTILE") == "long" else 1_000
SEED = 20_261_127
PIECES = [
    *("\n", "\r\n", '"', "\\", "\x00", "\x1b[31m", "\u2028", "\ud800", "{", "}", "{}", "%s", "${jndi:ldap://x}", "../"),
    *("<script>", "'; DROP TABLE news_log; --", "🦊", "利下げ", "a" * 300, "__class__", "\x7f", "\u202e", " ", "="),
]
METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO", "get"]

pytestmark = [pytest.mark.process, pytest.mark.time_limit(300)]


def hostile(chance: random.Random) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 4)))


def request(chance: random.Random, bearer: str) -> bytes:
    """Return a request with a hostile value in one place or in all."""
    name = hostile(chance)
    escaped = quote(name.encode(errors="surrogatepass"), safe="")
    path = chance.choice(
        (
            f"/ws/news?user_id={escaped}&device_id={escaped}",
            f"/ws/news?v=2&channels={escaped}&resume={escaped}",
            f"/api/v1/news?user_id={escaped}&category={escaped}&ticker={escaped}",
            f"/api/v1/news/{escaped}",
            f"/api/v1/news/{escaped}/explain?user_id={escaped}",
            f"/api/v1/subscriptions/{escaped}",
            f"/api/v1/users/{escaped}/tokens",
            f"/api/v1/connections/{escaped}",
            f"/{escaped}",
            f"/metrics?name[]={escaped}",
        )
    )
    item: dict[str, object] = {
        "source": "rss",
        "source_account": name,
        "title": name,
        "content": name,
        "url": f"https://e.com/{escaped}",
    }
    wishes = {"user_id": name, "keywords": [name], "categories": [name], "exclude": {"people": [name]}, name: name}
    item |= {"published_at": 1.0, "category": chance.choice((name, "crypto")), "id": name, "tags": [name]}
    method = chance.choice(METHODS)
    if chance.random() < 0.4:
        method, path = "POST", chance.choice(("/api/v1/news", "/api/v1/subscriptions", "/api/v1/subscriptions/preview"))
    body = json.dumps(chance.choice((item, wishes))).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: close",
        f"Authorization: {bearer}",
        f"X-Forwarded-For: {escaped}",
        f"traceparent: {escaped}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def ask(address: str, sent: bytes) -> bytes:
    """Send a request and return the whole response."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(sent)
    answer = await soon(reader.read())
    writer.close()
    return answer


def series_of(metrics: bytes) -> set[str]:
    lines = metrics.partition(b"\r\n\r\n")[2].decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if line and not line.startswith("#")}


async def serving(stderr: asyncio.StreamReader, lines: list[str]) -> str:
    """Wait until the server serves, and return its address."""
    while True:
        lines.append((await soon(stderr.readline())).decode())
        event = json.loads(lines[-1])
        if event["event"] == "serving":
            return str(event["addresses"][0])


async def read_lines(stderr: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stderr.readline():
        lines.append(line.decode())


async def bombard(address: str, tokens: Sequence[str]) -> Counter[bytes]:
    """Send every request, and count the responses by status."""
    chance = random.Random(SEED)
    statuses: Counter[bytes] = Counter()
    for _ in range(COUNT):
        answer = await ask(address, request(chance, f"Bearer {chance.choice(tokens)}"))
        statuses[answer.split(b" ", 2)[1] if answer else b"none"] += 1
    return statuses


async def test_hostile_names_add_no_series_or_lines() -> None:
    environment = {"NEWS_JWT_SECRET": SECRET, "NEWS_LOG_LEVEL": "debug"}
    process = await spawn("serve", "--port", "0", "--database", ":memory:", environment=environment)
    assert process.stderr is not None
    lines: list[str] = []
    tokens = [token("ann", scope="news:admin news:publish"), token("eve"), "x.y.z"]
    scrape = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    try:
        address = await serving(process.stderr, lines)
        reading = asyncio.create_task(read_lines(process.stderr, lines))
        before = series_of(await ask(address, scrape))
        # The canary's upgrade is the only request that this test does not send.
        while not any('code="1xx"' in series for series in before):
            before = series_of(await ask(address, scrape))
        statuses = await bombard(address, tokens)
        after = series_of(await ask(address, scrape))
        process.terminate()
        await soon(process.wait())
        await reading
    finally:
        if process.returncode is None:
            process.kill()
    levels = Counter(json.loads(line)["level"] for line in lines)
    print(  # noqa: T201 - the table of `make hostile`
        f"\nhostile names            {COUNT:,} requests (seed {SEED}), answers {dict(statuses)};"
        f" {len(before)} series before, {len(after)} after; {len(lines):,} lines of log {dict(levels)}"
    )

    assert after == before
    assert not [status for status in statuses if status.startswith(b"5") or status == b"none"]
    assert all(line.isascii() for line in lines)
    said = "".join(lines)
    assert not [one for one in (*tokens, *(one.rpartition(".")[2] for one in tokens[:2])) if one in said]
    assert SECRET not in said
    assert levels.keys() <= {"debug", "info", "warning"}
