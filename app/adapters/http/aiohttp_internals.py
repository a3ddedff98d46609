"""Use the private parts of aiohttp that this server depends on, and that a new release of aiohttp may change.

tests/http/test_handover.py checks by behavior that these facts about `RequestHandler` still hold:

    - `_message_tail` holds the bytes that a client sent after its upgrade request.
    - `connection_lost` ends the handler's task. While `transport` is None, it leaves the transport open.
    - `_waiter` is a pending future while the connection waits for a request.
"""

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter


class HandedOverResponse(web.StreamResponse):
    """A response that aiohttp must not send: the 101 was already written, and the transport belongs to another
    protocol.
    """

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing: the 101 was already written."""


def open_transport(request: web.Request) -> asyncio.Transport:
    """Return the transport of a request. Raises ConnectionResetError if it is closed or closing."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client left during the handshake")
    return transport


def hand_over(request: web.Request, successor: asyncio.Protocol) -> bytes:
    """Make `successor` the protocol of a request's transport, in place of aiohttp. Return the bytes that the client
    sent after its request. Raises ConnectionResetError if the client has left.
    """
    protocol = request.protocol
    open_transport(request).set_protocol(successor)
    early = protocol._message_tail
    # connection_lost makes aiohttp drop its state and end its task. It would also close the transport, so `transport`
    # is set to None before.
    protocol.transport = None
    protocol.connection_lost(None)
    return early


def is_waiting_for_request(protocol: web.RequestHandler) -> bool:
    """Return whether a connection is between two requests: no part of the next request's head has arrived, or only a
    part of it.
    """
    return protocol._waiter is not None and not protocol._waiter.done()
