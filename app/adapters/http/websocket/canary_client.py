"""The WebSocket client of the canary. It only receives messages: the canary tests that news would reach a client."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

_CONNECT_TIMEOUT_S = 5.0


class SocketReceiver:
    """A WebSocket from which the canary receives messages. Fulfills the port `Receiver`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionResetError(f"the server ended the connection: {message.type.name} {message.data}")
        return str(message.data).encode()


@asynccontextmanager
async def open_receiver(url: str, headers: Mapping[str, str]) -> AsyncIterator[SocketReceiver]:
    """Connect to a WebSocket and yield its receiver. Raises OSError if the connection fails, takes too long, or is
    refused.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CONNECT_TIMEOUT_S)) as session,
            session.ws_connect(url, headers=headers) as socket,
        ):
            yield SocketReceiver(socket)
    except aiohttp.ClientError as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
