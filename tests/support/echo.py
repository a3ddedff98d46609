"""An echo server over our socket code, for other people's test suites. This file owns what has to be added to echo.

    python -m tests.support.echo 9002

The handshake, the frames, the link and the compression are the product's. Its clients send no binary messages and none
of more than 16 KiB; here both are echoed, so that a suite for WebSockets in general can be run (docs/gotchas.md).
"""

import asyncio
import sys
from types import SimpleNamespace
from typing import cast

import uvloop
from aiohttp import WSMsgType, web

from app.adapters.http.services import PARTS, Parts
from app.adapters.http.websocket import upgrade
from app.adapters.http.websocket.frame_reader import FrameReader
from app.adapters.http.websocket.link import SocketLink
from app.adapters.http.websocket.upgrade_request import agreed_extension, chosen_headers
from app.core.limits import Limits
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.core.protocol.deflate import UNCOMPRESSED, deflate
from app.flows.delivery.session import Session
from app.ports.transport import Link

_MESSAGE_BYTES = 20 * 1024 * 1024
_BINARY, _DEFLATED_BINARY = b"\x82", b"\xc2"


class EchoLink(SocketLink):
    """A link that echoes binary messages too."""

    __slots__ = ()

    def _take(self, kind: WSMsgType, payload: object) -> None:
        if kind is not WSMsgType.BINARY or not isinstance(payload, bytes | bytearray):
            super()._take(kind, payload)
        elif self._session.window_bits == UNCOMPRESSED:
            self.write(frames._frame(_BINARY, bytes(payload)))
        else:
            self.write(frames._frame(_DEFLATED_BINARY, deflate(bytes(payload), self._session.window_bits)))


class Echo:
    """The conversation: what comes goes back."""

    def on_open(self, session: Session, link: Link) -> None:
        session.link = link

    def on_message(self, session: Session, text: str) -> None:
        if session.link is not None:
            session.link.write(frames.text_frame(text.encode(), session.window_bits))

    def on_ping(self, session: Session, payload: bytes) -> None:
        if session.link is not None:
            session.link.write(frames.pong_frame(payload))

    def on_violation(self, session: Session, ending: DisconnectReason) -> None:
        session.end(ending)

    def on_closed(self, session: Session, ending: DisconnectReason) -> None:
        session.ending = session.ending or ending

    def on_data(self, size: int) -> None:
        """Meter nothing."""

    def on_pong(self, session: Session) -> None:
        """Nothing is to be done."""

    def on_fragment(self, session: Session) -> None:
        """Meter nothing."""

    def on_pause(self, session: Session) -> None:
        """Ignore it: an echo goes by the link alone."""

    def on_resume(self, session: Session) -> None:
        """Nothing waits."""


ECHO = Echo()


async def get_echo(request: web.Request) -> web.StreamResponse:
    """Upgrade, and echo."""
    session = Session("echo", "echo", 0.0, 0)
    agreement = agreed_extension(request)
    session.window_bits = UNCOMPRESSED if agreement is None else agreement.window_bits
    headers = {"Sec-WebSocket-Accept": upgrade._check_handshake(request), **chosen_headers(request)}
    upgrade._hand_over(request, session, ECHO, headers)
    return upgrade._HandedOver(status=101)


async def main(port: int) -> None:
    """Serve for ever."""
    # The hand-over makes its links by this name.
    vars(upgrade)["SocketLink"] = EchoLink
    app = web.Application()
    parts = SimpleNamespace(frames=FrameReader(_MESSAGE_BYTES), limits=Limits())
    app[PARTS] = cast("Parts", parts)
    app.router.add_get("/", get_echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
