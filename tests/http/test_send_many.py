"""One write to many sockets: its result for each, and that clients get the same bytes as through their link."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.frames import Frame
from websockets.streams import StreamReader

from app.adapters.http.websocket.link import SocketLink
from app.adapters.http.websocket.send_many import send_many
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.handler import BaseHandler
from app.flows.delivery.session import Session
from tests.support.items import raw
from tests.support.server import RunningServer
from tests.support.sockets import open_raw
from tests.support.time_limits import soon

FRAME = b"x" * 1_000


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made = [socket.socketpair() for _ in range(4)]
    for ours, _ in made:
        ours.setblocking(False)
    yield made
    for pair in made:
        for end in pair:
            end.close()


def fill(full: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            full.send(b"-" * 100_000)
    with suppress(BlockingIOError):
        while True:
            full.send(b"-")


def test_full_or_closed_sockets_do_not_affect_others(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    fill(pairs[1][0])
    pairs[2][1].close()

    taken = send_many([pairs[0][0], pairs[1][0], None, pairs[2][0], pairs[3][0]], FRAME)

    assert taken == [len(FRAME), 0, 0, 0, len(FRAME)]
    assert [pairs[place][1].recv(2_000) for place in (0, 3)] == [FRAME, FRAME]


def test_partial_write_is_reported(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    ours, theirs = pairs[0]
    frame = bytes(range(256)) * 40_000

    [taken] = send_many([ours], frame)

    assert 0 < taken < len(frame)
    got = b""
    while len(got) < taken:
        got += theirs.recv(1 << 20)
    assert got == frame[:taken]


class Listener(BaseHandler):
    """Records what a transport reports to its link."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.descriptors: list[int] = []

    def on_pause(self, session: Session) -> None:
        self.heard.append("wait")

    def on_resume(self, session: Session) -> None:
        self.heard.append("room")

    def on_closed(self, session: Session, reason: DisconnectReason) -> None:
        self.heard.append("closed")


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_transport_reports_pending_bytes_and_keeps_its_descriptor(
    loop_factory: type, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    ours, theirs = pairs[0]

    async def converse() -> None:
        listener = Listener()
        session = Session("c", "u", 0.0)

        class Watching(SocketLink):
            def connection_lost(self, exc: Exception | None) -> None:
                # The descriptor still belongs to this connection, and afterwards to none.
                listener.descriptors.append(-1 if handle is None else handle.fileno())
                super().connection_lost(exc)
                listener.descriptors.append(-1 if handle is None else handle.fileno())

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        link = Watching(transport, session, listener, Limits().messages.max_bytes)
        transport.set_protocol(link)
        link.set_write_limit(0)
        handle = link.send_handle
        assert handle is not None
        assert handle.fileno() == ours.fileno()
        descriptor = handle.fileno()

        link.write(FRAME)
        assert (listener.heard, link.buffered_bytes(), link.send_handle) == ([], 0, handle)

        link.write(FRAME * 10_000)
        assert (listener.heard, link.send_handle) == (["wait"], None)

        await asyncio.to_thread(read, theirs, len(FRAME) * 10_001)
        while listener.heard != ["wait", "room"]:
            await asyncio.sleep(0)
        assert link.send_handle is handle

        link.abort()
        assert link.send_handle is None
        while "closed" not in listener.heard:
            await asyncio.sleep(0)
        assert listener.descriptors == [descriptor, -1]
        assert send_many([handle], FRAME) == [0]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(soon(converse()))


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_write_to_a_closed_socket_is_reported(
    loop_factory: type, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    ours, theirs = pairs[0]

    async def converse() -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        link = SocketLink(transport, Session("c", "u", 0.0), Listener(), Limits().messages.max_bytes)
        transport.set_protocol(link)
        assert link.write(FRAME)
        theirs.close()
        assert not link.write(FRAME)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(soon(converse()))


def read(end: socket.socket, size: int) -> None:
    end.setblocking(True)
    while size:
        size -= len(end.recv(min(size, 1 << 20)))


async def test_late_reader_gets_everything_in_order(server: RunningServer) -> None:
    slow = await open_raw(server.ws_url, "slow")
    content = "x" * 3_000
    for number in range(60):
        await server.publish(raw(number, content=content))

    stream = StreamReader()
    seqs: list[int] = []

    async def more() -> None:
        stream.feed_data(await soon(asyncio.get_running_loop().sock_recv(slow, 65_536)))

    while len(seqs) < 60:
        parsing = Frame.parse(stream.read_exact, mask=False)
        while (frame := step(parsing)) is None:
            await more()
        message = json.loads(bytes(frame.data))
        seqs += [message["seq"]] if message["type"] == "news_item" else []
    slow.close()

    assert seqs == list(range(1, 61))
    assert await server.metric("news_slow_consumers_total", action="lagging") == 0


def step(parsing: object) -> Frame | None:
    """Continue parsing; return None if more bytes are needed."""
    try:
        next(parsing)  # type: ignore[call-overload]
    except StopIteration as done:
        frame: Frame = done.value
        return frame
    return None


async def test_reused_descriptor_gets_no_old_bytes(server: RunningServer) -> None:
    await server.subscribe("picky", impact_threshold=100)
    async with connect(f"{server.ws_url}?user_id=witness") as witness:
        for number in range(12):
            before = await connect(f"{server.ws_url}?user_id=everything")
            before.transport.abort()
            async with connect(f"{server.ws_url}?user_id=picky") as after:
                await server.publish(raw(number, impact_score=10))
                await soon(witness.recv())
                await after.send('{"type":"ping"}')
                message = json.loads(await soon(after.recv()))

            assert message["type"] == "pong"
