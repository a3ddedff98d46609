"""What the hand-over leans on in aiohttp, named one by one: an update that changes any of it fails here."""

import asyncio
import inspect

import aiohttp
from aiohttp import WSMsgType, web_protocol
from aiohttp._websocket.models import WebSocketError
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketReader
from websockets.asyncio.client import connect

from app.adapters.http.websocket.frame_reader import _NO_FLOW_CONTROL
from tests.support.server import running


def test_the_version_is_the_one_these_facts_were_read_from() -> None:
    assert aiohttp.__version__.startswith("3.14.")


def test_losing_the_connection_closes_the_transport_only_where_there_is_one() -> None:
    source = inspect.getsource(web_protocol.RequestHandler.force_close)

    assert "if self.transport is not None:" in source


def test_bytes_behind_the_upgrade_request_wait_in_the_message_tail() -> None:
    assert "_message_tail" in web_protocol.RequestHandler.__slots__
    assert "self._message_tail += data" in inspect.getsource(web_protocol.RequestHandler.data_received)


def test_while_there_is_no_request_the_waiter_waits() -> None:
    source = inspect.getsource(web_protocol.RequestHandler.start)

    assert "self._waiter = loop.create_future()" in source
    assert "await self._waiter" in source
    assert "_waiter" in web_protocol.RequestHandler.__slots__


async def test_the_parser_hands_messages_to_the_queue_and_reading_one_never_waits() -> None:
    queue = WebSocketDataQueue(_NO_FLOW_CONTROL, 1 << 20, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
    parser = WebSocketReader(queue, 100, compress=False, decode_text=True)
    parser.feed_data(b"\x81\x82\0\0\0\0hi" + b"\x89\x80\0\0\0\0")

    messages = []
    while queue._buffer:
        try:
            queue.read().send(None)
        except StopIteration as done:
            messages.append(done.value)

    assert [message[0] for message in messages] == [WSMsgType.TEXT, WSMsgType.PING]
    assert messages[0][1] == "hi"


async def test_a_broken_frame_is_an_exception_of_the_queue_with_its_code() -> None:
    queue = WebSocketDataQueue(_NO_FLOW_CONTROL, 1 << 20, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
    parser = WebSocketReader(queue, 100, compress=False, decode_text=True)

    is_broken, _ = parser.feed_data(b"\x81\x82\0\0\0\0\xff\xff")

    error = queue.exception()
    assert is_broken
    assert isinstance(error, WebSocketError)
    assert error.code == 1007


async def test_a_parser_whose_queue_another_one_broke_reads_on() -> None:
    queue = WebSocketDataQueue(_NO_FLOW_CONTROL, 1 << 20, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
    broken, whole = (WebSocketReader(queue, 100, compress=False, decode_text=True) for _ in range(2))
    broken.feed_data(b"\x81\x82\0\0\0\0\xff\xff")

    is_broken, _ = whole.feed_data(b"\x81\x82\0\0\0\0hi")

    assert not is_broken
    assert len(queue._buffer) == 1


async def test_after_the_hand_over_no_task_of_aiohttp_remains() -> None:
    async with running() as server:
        before = len(asyncio.all_tasks())
        sockets = [await connect(f"{server.ws_url}?user_id=u{number}") for number in range(20)]
        while sum("RequestHandler" in repr(task.get_coro()) for task in asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)
        ours = [task for task in asyncio.all_tasks() if "app" in repr(task.get_coro())]

        assert len(ours) <= before
        for socket in sockets:
            await socket.close()
