"""An echo server over our WebSocket code, for other people's test suites.

    python -m tests.support.echo 9002

The handshake, the frames, the link and the compression are the product's. Its clients send no binary messages and none
of more than 16 KiB; here both are echoed, so that a suite for WebSockets in general can be run (docs/gotchas.md).
"""

import asyncio
import sys

import uvloop
from aiohttp import web
from websockets.frames import Opcode

from app.adapters.http.aiohttp_internals import open_transport
from app.adapters.http.websocket import frame_reader
from app.adapters.http.websocket.link import SocketLink
from app.adapters.http.websocket.upgrade import switch_protocols
from app.adapters.http.websocket.upgrade_request import parse_upgrade
from app.config import Settings
from app.core.protocol import frames
from app.core.protocol.deflate import UNCOMPRESSED, deflate
from app.flows.connections.handler import BaseHandler
from app.flows.delivery.session import Session, client_options

_MESSAGE_BYTES = 20 * 1024 * 1024
_BINARY, _DEFLATED_BINARY = b"\x82", b"\xc2"


class EchoReader(frame_reader.MessageReader):
    """A reader that reports the payload of binary messages."""

    __slots__ = ()

    def _complete(self, opcode: Opcode, payload: bytes) -> frame_reader.Event:
        return (opcode, payload) if opcode is Opcode.BINARY else super()._complete(opcode, payload)


class EchoLink(SocketLink):
    """A link that echoes binary messages too."""

    __slots__ = ()
    reader_type = EchoReader

    def _receive(self, opcode: Opcode, payload: str | bytes | int | None) -> None:
        window_bits = self._session.options.deflate_window_bits
        if opcode is not Opcode.BINARY or not isinstance(payload, bytes):
            super()._receive(opcode, payload)
        elif window_bits == UNCOMPRESSED:
            self.write(frames._frame(_BINARY, payload))
        else:
            self.write(frames._frame(_DEFLATED_BINARY, deflate(payload, window_bits)))


class EchoHandler(BaseHandler):
    """Sends back what it receives."""

    def on_message(self, session: Session, text: str) -> None:
        if session.link is not None:
            session.link.write(frames.text_frame(text.encode(), session.options.deflate_window_bits))


ECHO = EchoHandler()


async def get_echo(request: web.Request) -> web.StreamResponse:
    """Upgrade, and echo."""
    upgrade = parse_upgrade(request, Settings())
    session = Session("echo", "echo", 0.0)
    session.configure((), client_options(False, False, upgrade.deflate_window_bits))
    link = EchoLink(open_transport(request), session, ECHO, _MESSAGE_BYTES)
    return switch_protocols(request, link, upgrade.response_headers())


async def main(port: int) -> None:
    """Serve until cancelled."""
    app = web.Application()
    app.router.add_get("/", get_echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
