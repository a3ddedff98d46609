"""What a client's bytes are. This file owns reading frames (RFC 6455 section 5.2) and what is kept between messages.

aiohttp's parser does the work: masking, fragments, control frames between them, inflating, UTF-8, limits. It is made
when bytes come and let go at the end of a message, so that an idle connection keeps nothing; where a message ends,
`_Edge` knows. All parsers share one queue, which is emptied before anything else is done.
"""

import asyncio
from collections.abc import Iterator

from aiohttp import WSCloseCode, WSMsgType
from aiohttp._websocket.models import WebSocketError
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketReader

_QUEUE_BYTES = 1 << 20
_FIN, _OPCODE, _MASKED, _LENGTH = 0x80, 0x0F, 0x80, 0x7F
_FIRST_CONTROL = _CLOSE = 0x8
_KEY_BYTES = 4
# What follows the first two bytes, by the seven bits of length.
_LENGTH_BYTES = {126: 2, 127: 8}

Message = tuple[WSMsgType, object]


class _NoFlowControl:
    """What the queue may ask of a protocol. It is emptied after every read, so it never needs to."""

    _reading_paused = False

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""


_NO_FLOW_CONTROL = _NoFlowControl()


class _FrameScanner:
    """Follows the frames through the bytes: whether all of them are masked, and whether a message is under way."""

    __slots__ = ("_first", "_head", "_is_fragmented", "_rest", "is_unmasked")

    def __init__(self) -> None:
        self._head = bytearray()
        self._rest = self._first = 0
        self._is_fragmented = False
        self.is_unmasked = False

    @property
    def is_at_rest(self) -> bool:
        return not (self._rest or self._head or self._is_fragmented)

    def pieces(self, data: bytes) -> Iterator[tuple[bytes, int | None]]:
        """Cut bytes where frames end; give each piece with the first byte of the frame that ends there, or None.

        The last piece before a frame that is not masked is the last of all.
        """
        start = position = 0
        while position < len(data):
            if not self._rest:
                position = self._read_head(data, position)
                if self.is_unmasked:
                    return
            step = min(self._rest, len(data) - position)
            self._rest -= step
            position += step
            if not (self._rest or self._head):
                yield (data if position - start == len(data) else data[start:position]), self._first
                start = position
        if start < position:
            yield data[start:], None

    def _read_head(self, data: bytes, position: int) -> int:
        """Go on reading a frame's head, as far as the bytes go; give where it ends."""
        while position < len(data) and len(self._head) < self._head_bytes():
            missing = self._head_bytes() - len(self._head)
            self._head += data[position : position + missing]
            position = min(position + missing, len(data))
        if len(self._head) == self._head_bytes():
            self._begin_payload()
        return position

    def _head_bytes(self) -> int:
        """Give how long the head is, as far as it is known: two bytes say the rest."""
        if len(self._head) < 2:
            return 2
        key = _KEY_BYTES if self._head[1] & _MASKED else 0
        return 2 + _LENGTH_BYTES.get(self._head[1] & _LENGTH, 0) + key

    def _begin_payload(self) -> None:
        first, second = self._head[0], self._head[1]
        self.is_unmasked = self.is_unmasked or not second & _MASKED
        extended = _LENGTH_BYTES.get(second & _LENGTH, 0)
        self._rest = int.from_bytes(self._head[2 : 2 + extended]) if extended else second & _LENGTH
        self._first = first
        if first & _OPCODE < _FIRST_CONTROL:
            self._is_fragmented = not first & _FIN
        self._head.clear()


class MessageReader:
    """A client's message that is under way. `error` is what broke the protocol, None while nothing did.

    `is_closed`: a close frame came, right or wrong. Once it `is_over`, nothing is parsed, and so nothing inflated, any
    more; only a close frame is still seen.
    """

    __slots__ = ("_edge", "_message_bytes", "_parser", "_queue", "error", "is_closed", "is_over")

    def __init__(self, queue: WebSocketDataQueue, message_bytes: int, *, is_deflated: bool) -> None:
        self._queue = queue
        self._message_bytes = message_bytes
        # The parser refuses a message of exactly its limit, unless that message was compressed.
        self._parser = WebSocketReader(queue, message_bytes + 1, compress=is_deflated, decode_text=True)
        self._edge = _FrameScanner()
        self.error: BaseException | None = None
        self.is_over = self.is_closed = False

    @property
    def is_at_rest(self) -> bool:
        """Say whether the last message is whole, so that the next one can begin anew."""
        return self._edge.is_at_rest

    @property
    def is_unmasked(self) -> bool:
        """Say whether a frame was not masked: a server must close on it (RFC 6455 section 5.1)."""
        return self._edge.is_unmasked

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes, and give the messages that are whole by now, each before the next frame is looked at.

        A frame that ends while its message does not is a CONTINUATION: it costs its sender too.
        """
        for piece, ended in self._edge.pieces(data):
            is_close = ended is not None and ended & _OPCODE == _CLOSE
            self.is_closed = self.is_closed or is_close
            if self.is_over or self.error is not None:
                if is_close:
                    yield WSMsgType.CLOSE, 0
                continue
            yield from self._parse(piece)
            if ended is not None and not ended & _FIN and self.error is None:
                yield WSMsgType.CONTINUATION, None

    def _parse(self, piece: bytes) -> list[Message]:
        try:
            is_broken, _ = self._parser.feed_data(piece)
            if is_broken:
                self.error = self._queue.exception()
            return self._drain()
        finally:
            # Nothing of one client may ever be taken for another's.
            self._queue._buffer.clear()

    def _drain(self) -> list[Message]:
        messages: list[Message] = []
        while self._queue._buffer:
            if self._queue._buffer[0][1] > self._message_bytes:
                self.error = WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "larger than the limit once inflated")
            try:
                # The queue is not empty: its coroutine ends without ever waiting.
                self._queue.read().send(None)
            except StopIteration as read:
                kind, payload, _extra = read.value
                messages.append((kind, payload))
        return [] if self.error is not None else messages


class FrameReader:
    """Begins to read messages, for every connection of this server."""

    def __init__(self, message_bytes: int) -> None:
        self._message_bytes = message_bytes
        loop = asyncio.get_running_loop()
        self._queue = WebSocketDataQueue(_NO_FLOW_CONTROL, _QUEUE_BYTES, loop=loop)  # type: ignore[arg-type]

    def begin(self, *, is_deflated: bool = False) -> MessageReader:
        """Begin a message; `is_deflated`: compressed ones were agreed on."""
        return MessageReader(self._queue, self._message_bytes, is_deflated=is_deflated)
