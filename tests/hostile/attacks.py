"""What attackers send: raw sockets that follow no protocol."""

import asyncio
import json
import socket
import zlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.support.server import RunningServer
from tests.support.sockets import masked, upgrade_request

FIN, RSV1 = 0x80, 0x40
CONTINUATION, TEXT, BINARY, PING = 0x0, 0x1, 0x2, 0x9

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Attack(NamedTuple):
    """How an attack begins, and what it sends repeatedly while it can.

    `refused` names the metric that must count it.
    """

    name: str
    begin: Callable[[RunningServer], Awaitable[Streams]]
    volley: bytes
    refused: tuple[str, dict[str, str]]
    pause_s: float = 0.02


def closed_for(reason: str) -> tuple[str, dict[str, str]]:
    return "news_connections_closed_total", {"reason": reason}


async def connected(server: RunningServer) -> Streams:
    parts = urlsplit(server.url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def upgraded(server: RunningServer, *, is_deflating: bool = False) -> Streams:
    reader, writer = await connected(server)
    writer.write(upgrade_request("/ws/news?user_id=attacker", is_deflating=is_deflating))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    return reader, writer


async def deflating(server: RunningServer) -> Streams:
    return await upgraded(server, is_deflating=True)


async def acknowledging(server: RunningServer) -> Streams:
    reader, writer = await connected(server)
    writer.write(upgrade_request("/ws/news?user_id=attacker&ack=1"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    return reader, writer


async def chunks_begun(server: RunningServer) -> Streams:
    reader, writer = await connected(server)
    head = b"POST /api/v1/news HTTP/1.1\r\nHost: [::]\r\nContent-Type: application/json\r\n"
    writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
    return reader, writer


async def head_begun(server: RunningServer) -> Streams:
    reader, writer = await connected(server)
    writer.write(b"GET /ws/news?user_id=slow HTTP/1.1\r\nHost: [::]\r\n")
    return reader, writer


async def head_with_connect(server: RunningServer) -> Streams:
    """Send the first byte before the server has accepted the connection."""
    parts = urlsplit(server.url)
    client = socket.create_connection((parts.hostname or "", parts.port or 0))
    client.sendall(b"G")
    return await asyncio.open_connection(sock=client)


async def body_begun(server: RunningServer) -> Streams:
    reader, writer = await connected(server)
    head = b"POST /api/v1/news HTTP/1.1\r\nHost: [::]\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    writer.write(head + b'{"source":')
    return reader, writer


def text(message: str) -> bytes:
    return masked(FIN | TEXT, message.encode())


def bomb(size: int) -> bytes:
    """A compressed message that inflates to this size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"x" * size) + packer.flush(zlib.Z_SYNC_FLUSH)
    return masked(FIN | RSV1 | TEXT, packed.removesuffix(b"\x00\x00\xff\xff"))


NOT_COUNTED: tuple[str, dict[str, str]] = ("", {})
SLOW = ("news_limit_hits_total", {"limit": "slow_request"})
TOO_LARGE = ("news_limit_hits_total", {"limit": "publish_bytes"})
BEGUN = masked(TEXT, b"x")
DEEP = "[" * 7_000 + "]" * 7_000
HUGE = json.dumps({"type": "subscribe", "filters": {"keywords": ["ﷺ" * 64] * 70}}, ensure_ascii=False)

ATTACKS = (
    Attack("flood of pings", upgraded, masked(FIN | PING, b"x") * 500, closed_for("rate_limited")),
    Attack("flood of messages", upgraded, text('{"type":"ping"}') * 500, closed_for("rate_limited")),
    Attack(
        "message without an end",
        upgraded,
        BEGUN + masked(CONTINUATION, b"") * 500,
        closed_for("rate_limited"),
    ),
    Attack("empty pings at line speed", upgraded, masked(FIN | PING, b"") * 40_000, closed_for("rate_limited"), 0),
    Attack(
        "empty continuations at line speed",
        upgraded,
        masked(TEXT, b"") + masked(CONTINUATION, b"") * 40_000,
        closed_for("rate_limited"),
        0,
    ),
    Attack("messages behind a violation", upgraded, b"\x81\x05hello" + bytes(250_000), closed_for("protocol_error"), 0),
    Attack("message in crumbs", upgraded, BEGUN + masked(CONTINUATION, b"x") * 200, closed_for("rate_limited")),
    Attack("bombs within the limit", deflating, bomb(16_000) * 500, closed_for("rate_limited")),
    Attack("bomb of 10 MB", deflating, bomb(10_000_000), closed_for("message_too_big")),
    Attack("deep JSON", upgraded, text(DEEP) * 10, closed_for("too_many_bad_messages")),
    Attack("huge keywords", upgraded, text(HUGE) * 100, closed_for("rate_limited")),
    Attack("acks of nothing", acknowledging, text('{"type":"ack","seq":0}') * 500, closed_for("rate_limited")),
    Attack("a body in chunks of one byte", chunks_begun, b"1\r\nx\r\n" * 20_000, TOO_LARGE, 0),
    Attack("binary", upgraded, masked(FIN | BINARY, b"x" * 100), closed_for("unsupported_data")),
    Attack("no mask", upgraded, b"\x81\x05hello" * 100, closed_for("protocol_error")),
    Attack("reserved bits", upgraded, masked(FIN | 0x30 | TEXT, b"x"), closed_for("protocol_error")),
    Attack("length of 2^63", upgraded, b"\x81\xff" + (2**63).to_bytes(8) + bytes(4), closed_for("message_too_big")),
    Attack("length of 2^40", upgraded, b"\x81\xff" + (2**40).to_bytes(8) + bytes(4), closed_for("message_too_big")),
    Attack("a head without end", connected, b"GET / HTTP/1.1\r\nX-Header: " + b"x" * 100_000, NOT_COUNTED),
    Attack("a head in drips", head_begun, b"X-Drip: drop\r\n", SLOW, pause_s=0.3),
    Attack("a head that comes with the connect", head_with_connect, b"", SLOW, pause_s=1.0),
    Attack("a body that never comes", body_begun, b"", SLOW, pause_s=1.0),
    Attack("a body in drips", body_begun, b"x", SLOW, pause_s=0.1),
)
