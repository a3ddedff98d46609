"""The only file that relies on aiohttp's internals. tests/http/test_handover.py checks by behavior that they still
hold.

- `RequestHandler._message_tail` holds the bytes that a client sent after its upgrade request.
- `RequestHandler.connection_lost` ends the handler's task and, while `transport` is None, leaves the transport open.
- `RequestHandler._waiter` is a pending future while the connection waits for a request.
"""

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter


class HandedOverResponse(web.StreamResponse):
    """What a handler returns after a hand-over: the answer is sent, and the transport is no longer aiohttp's."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


def open_transport(request: web.Request) -> asyncio.Transport:
    """Return the transport of a request. Raises ConnectionResetError if the client has left."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client left during the handshake")
    return transport


def hand_over(request: web.Request, successor: asyncio.Protocol) -> bytes:
    """Move the transport of a request from aiohttp to another protocol; return what the client has sent already."""
    protocol = request.protocol
    open_transport(request).set_protocol(successor)
    early = protocol._message_tail
    # aiohttp lets go of the connection as if it were lost, and must not close the transport.
    protocol.transport = None
    protocol.connection_lost(None)
    return early


def is_waiting_for_request(protocol: web.RequestHandler) -> bool:
    """Return whether a connection waits for a request, or for the rest of one's head."""
    return protocol._waiter is not None and not protocol._waiter.done()
