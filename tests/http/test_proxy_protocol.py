"""The PROXY protocol names the client, before the first byte and in no other way."""

import asyncio
import json
import socket
import struct
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.http.request.proxy_protocol import NamedClient, parse_proxy_header
from app.options import ProxyHeader
from tests.support.server import RunningServer, running
from tests.support.sockets import upgrade_request
from tests.support.time_limits import soon

V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source: str, command: int = 0x21, more: bytes = b"") -> bytes:
    """Return a header of version 2, as HAProxy writes it."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) * 2 + struct.pack(">HH", 1, 2) + more
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes([command, kind]) + struct.pack(">H", len(addresses)) + addresses


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (V1, "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535\r\n", ""),
        (v2("203.0.113.9"), "203.0.113.9"),
        (v2("2001:db8::7", more=b"\x04\0\1x"), "2001:db8::7"),
        (v2("203.0.113.9", command=0x20), ""),
        (SIGNATURE + b"\x21\x31\0\0", ""),
    ],
)
def test_header_is_read_whole_or_not_yet(header: bytes, address: str) -> None:
    assert parse_proxy_header(header + b"GET /") == NamedClient(address, len(header))
    assert [parse_proxy_header(header[:end]) for end in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 x 192.0.2.1 1 2\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY \xff\r\n",
        b"PROXY " + b"x" * 200,
        v2("203.0.113.9", command=0x31),
        SIGNATURE + b"\x21\x11\0\x04abcd",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every message is one of ours or of ipaddress
        parse_proxy_header(data)


@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE]))
def test_any_bytes_are_a_header_or_refused(data: bytes, start: bytes) -> None:
    try:
        header = parse_proxy_header(start + data)
    except ValueError:
        return
    assert header is None or header.size <= len(start + data)


async def shown_address(server: RunningServer, header: bytes, *parts: bytes) -> str:
    """Connect through a proxy that sends this header, and return the address that operators are shown."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    for part in (header, *parts, upgrade_request("/ws/news?user_id=u")):
        writer.write(part)
        await asyncio.sleep(0)
    head = await soon(reader.readuntil(b"\r\n\r\n"))
    assert head.startswith(b"HTTP/1.1 101")
    async with server.http.get(f"{server.url}/api/v1/connections") as answer:
        [shown] = json.loads(await answer.read())["connections"]
    writer.close()
    return str(shown["address"])


@pytest.mark.parametrize(("header", "address"), [(V1, "203.0.113.9"), (v2("2001:db8::7"), "2001:db8::7")])
async def test_client_of_a_proxy_is_known(header: bytes, address: str) -> None:
    async with running(trusted_proxies=("127.0.0.1",), proxy_header=ProxyHeader.PROXY_PROTOCOL) as server:
        assert await shown_address(server, header[:7], header[7:]) == address


async def test_header_of_others_is_no_request() -> None:
    async with running(proxy_header=ProxyHeader.PROXY_PROTOCOL) as server:
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(V1 + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        said = await soon(reader.read())
        writer.close()

    assert b" 400 " in said.splitlines()[0]


async def test_half_a_header_is_a_slow_request() -> None:
    limits = {"requests.head_timeout_s": 0.2}
    async with running(
        trusted_proxies=("127.0.0.1",), proxy_header=ProxyHeader.PROXY_PROTOCOL, limits=limits
    ) as server:
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(V1[:20])
        said = await soon(reader.read())
        writer.close()
        slow = await server.metric("news_limit_hits_total", limit="slow_request")

    assert (said, slow) == (b"", 1)
