"""The private parts of aiohttp that this server depends on. A new release of aiohttp may change them.

tests/http/test_handover.py checks by behavior that these facts about aiohttp's `RequestHandler` still hold:

    - `_message_tail` holds the bytes that a client sent after its upgrade request.
    - `connection_lost` ends the handler's task. It leaves the transport open if the attribute `transport` is None.
    - `_waiter` is a pending future while the connection waits for a request, once the handler's task runs.
    - `_prepare_headers` adds the header Server to a response.
    - `_reading_paused` and `_buffer_paused` are true while a handler does not take what was received.
    - `_request_count` is 0 until the first head has arrived completely, whether or not it could be parsed.
"""

import asyncio

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter


class HandedOverResponse(web.StreamResponse):
    """The response object of a request whose 101 was already written. aiohttp must send nothing for it, because the
    transport now belongs to another protocol.
    """

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing: the 101 was already written."""


class ResponseBeforeRouting(web.Response):
    """A response to a request that aiohttp could not parse. No application prepares its headers, so the header Server,
    which names the versions of Python and aiohttp, is removed here.
    """

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers[hdrs.SERVER]


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
    # connection_lost makes aiohttp drop its objects for this connection and end the task of its handler. It would also
    # close the transport, so the attribute `transport` is set to None first.
    protocol.transport = None
    protocol.connection_lost(None)
    return early


def is_waiting_for_request(protocol: web.RequestHandler) -> bool:
    """Return whether a connection waits for its next request: no request is being handled, and the head of the next one
    has not arrived completely.

    The first bytes of a connection often arrive before the handler's task runs, which creates `_waiter`.
    """
    return protocol._request_count == 0 or (protocol._waiter is not None and not protocol._waiter.done())


def pause_transport(protocol: web.RequestHandler) -> None:
    """Stop reading from the client, whatever aiohttp's own flow control says."""
    if protocol.transport is not None:
        protocol.transport.pause_reading()


def resume_transport(protocol: web.RequestHandler) -> None:
    """Read from the client again, unless aiohttp's own flow control has stopped the reading."""
    if protocol.transport is not None and not protocol._reading_paused and not protocol._buffer_paused:
        protocol.transport.resume_reading()
