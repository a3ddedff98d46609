"""Many cheap clients: protocols that count frames and parse only a time stamp, so that the server is what is measured.

They count from the bytes on the wire, independently of the server.
"""

import asyncio
import time
import zlib
from typing import cast
from urllib.parse import urlencode, urlsplit

from tests.support.sockets import connected, masked, upgrade_request

_STAMP = b'"published_at":'
_DATA = b'"data":'
_PING, _PONG, _DEFLATED_TEXT = 0x89, 0x8A, 0xC1


class CountingClient(asyncio.Protocol):
    """Upgrades, then counts its text frames and how old each item was; answers pings."""

    def __init__(self, path: str, *, is_deflating: bool = False) -> None:
        self.is_deflating = is_deflating
        self.items = 0
        self.ages_s: list[float] = []
        # The bytes of items: whole frames, and what is under "data" in them.
        self.wire_bytes = self.payload_bytes = 0
        self.sent_bytes = 0
        self.is_picky = False
        self.upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._path = path
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(upgrade_request(self._path, is_deflating=self.is_deflating))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.upgraded.done():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 101 "):
                self.upgraded.set_exception(ConnectionRefusedError(self._buffer.splitlines()[0].decode()))
                return
            del self._buffer[: end + 4]
            self.upgraded.set_result(None)
        self._count_frames()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.upgraded.done():
            self.upgraded.set_exception(exc or ConnectionResetError("lost before the answer"))

    def write(self, frame: bytes) -> None:
        """Send a frame to the server."""
        assert self._transport is not None
        self.sent_bytes += len(frame)
        self._transport.write(frame)

    def stall(self) -> None:
        """Stop reading."""
        assert self._transport is not None
        self._transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        assert self._transport is not None
        self._transport.resume_reading()

    def close(self) -> None:
        """Drop the TCP connection, without a close frame."""
        if self._transport is not None:
            self._transport.close()

    def _count_frames(self) -> None:
        now, start, items, buffer = time.time(), 0, self.items, self._buffer
        while len(buffer) - start >= 2:
            size, head = buffer[start + 1], 2
            if size == 126:
                if len(buffer) - start < 4:
                    break
                size, head = int.from_bytes(buffer[start + 2 : start + 4], "big"), 4
            if len(buffer) - start < head + size:
                break
            if buffer[start] == _PING:
                self.write(masked(_PONG, bytes(buffer[start + head : start + head + size])))
            payload = bytes(buffer[start + head : start + head + size])
            self._count_message(_inflate(payload) if buffer[start] == _DEFLATED_TEXT else payload, now)
            if self.items > items:
                items, self.wire_bytes = self.items, self.wire_bytes + head + size
            start += head + size
        del buffer[:start]

    def _count_message(self, payload: bytes, now: float) -> None:
        stamp = payload.find(_STAMP)
        if stamp >= 0:
            end = payload.index(b",", stamp)
            self.ages_s.append(now - float(payload[stamp + len(_STAMP) : end]))
            self.items += 1
            self.payload_bytes += len(payload) - len(b"}") - (payload.index(_DATA) + len(_DATA))


def _inflate(payload: bytes) -> bytes:
    return zlib.decompressobj(-12).decompress(payload + b"\x00\x00\xff\xff")


async def join(ws_url: str, user_id: str, *, is_deflating: bool = False, **query: str) -> CountingClient:
    """Connect one client, with compression or without. Raises ConnectionError if the server refuses."""
    parts = urlsplit(ws_url)
    path = f"{parts.path}?{urlencode({'user_id': user_id, **query})}"
    assert parts.hostname is not None
    assert parts.port is not None
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: CountingClient(path, is_deflating=is_deflating), parts.hostname, parts.port
    )
    await client.upgraded
    return client


async def join_stalled(ws_url: str, user_id: str) -> CountingClient:
    """Connect one client that does not read until it is told to, with a small receive buffer."""
    small = await connected(ws_url, receive_buffer_bytes=4_096)
    path = f"{urlsplit(ws_url).path}?{urlencode({'user_id': user_id})}"
    _, client = await asyncio.get_running_loop().create_connection(lambda: CountingClient(path), sock=small)
    await client.upgraded
    client.stall()
    return client
