"""A WebSocket client that does only what a test tells it: it need not read, answer or close."""

import asyncio
import socket
from urllib.parse import urlsplit

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


_OFFER = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def upgrade_request(path: str, *, is_deflating: bool = False) -> bytes:
    """Return an upgrade request, with an offer of compression or without."""
    head = REQUEST.format(path=path).removesuffix("\r\n")
    return f"{head}{_OFFER if is_deflating else ''}\r\n".encode()


def masked(first: int, payload: bytes) -> bytes:
    """Return a client's frame (RFC 6455 section 5.2) under a mask of zeros; `first` is its first byte:
    FIN and opcode.
    """
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((first,)) + length + bytes(4) + payload


async def connected(url: str, receive_buffer_bytes: int) -> socket.socket:
    """Connect with a small receive buffer."""
    parts = urlsplit(url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
    return raw


async def open_raw(ws_url: str, user_id: str, receive_buffer_bytes: int = 4096) -> socket.socket:
    """Connect and upgrade; from then on nothing is read unless the test does."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(ws_url)
    raw = await connected(ws_url, receive_buffer_bytes)
    await loop.sock_sendall(raw, REQUEST.format(path=f"{parts.path}?user_id={user_id}").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await loop.sock_recv(raw, 1)
    assert b" 101 " in head
    return raw
