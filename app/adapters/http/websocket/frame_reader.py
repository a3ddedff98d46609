"""Parse a client's frames (RFC 6455 section 5) into messages, with the frame parser of the library `websockets`.

A `MessageReader` is created when bytes arrive, and dropped once the last message is complete, so an idle connection has
none.
"""

from collections.abc import Generator, Iterator
from dataclasses import replace

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CTRL_OPCODES, Close, CloseCode, Frame, Opcode
from websockets.typing import ExtensionName

from app.core.protocol.close_codes import DisconnectReason

_MASK_BIT, _LENGTH_BITS = 0x80, 0x7F
_CLOSE_HEAD = 0x88
# The size of the header of a frame with at most 125 bytes of payload: two bytes, and four bytes of masking key.
_SHORT_HEAD_BYTES = 6
# How many frames are parsed, and how many bytes are read, after the connection is over. The client's close frame must
# be found, and frames that were on their way arrive before it. But one read from the socket can bring 40,000 frames,
# and each costs a few microseconds.
_MAX_FRAMES_AFTER_END = 32
_MAX_BYTES_AFTER_END = 256 * 1024

Event = tuple[Opcode, str | bytes | int | None]
"""What a reader reports: an opcode and a payload. The payload is the text of a TEXT message, the bytes of a PING or
PONG frame, or the code of a CLOSE frame (0 if it has none). It is None for a BINARY message, and for CONT, which stands
for a data frame that is not the last of its message.
"""


class _Discard(Extension):
    """An extension that drops the payload of data frames without inflating it, for a connection that is already being
    closed.
    """

    name = ExtensionName("discard")

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:  # noqa: ARG002
        return frame if frame.opcode in CTRL_OPCODES else replace(frame, data=b"", rsv1=False)


_DISCARD = (_Discard(),)


class _Violation(Exception):
    """Raised if a client breaks the protocol or the size limit of a message. `reason` is the disconnect reason."""

    def __init__(self, reason: DisconnectReason) -> None:
        super().__init__(reason)
        self.reason = reason


class MessageReader:
    """The parser of one connection's frames. It holds the frame and the message that are not complete yet.

    `violation` tells how the client broke the protocol or the size limit, and is None as long as it has not.
    `has_close` is True once a close frame was parsed, valid or not. The owner of the reader sets `is_over` when the
    connection is being closed. From then on no payload is inflated, and only close frames are reported. `is_flooded`
    becomes True if the client then sends too many frames or bytes: nothing more is read from it.
    """

    __slots__ = (
        "_buffer",
        "_bytes_after_end",
        "_extensions",
        "_fragments",
        "_frames_after_end",
        "_max_bytes",
        "_opcode",
        "_parser",
        "has_close",
        "is_over",
        "violation",
    )

    def __init__(self, max_bytes: int, *, is_deflated: bool = False) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._parser: Generator[None, None, Frame] | None = None
        self._opcode: Opcode | None = None
        self._fragments = bytearray()
        # Without context takeover each message is compressed by itself, so no zlib state has to outlive the reader.
        self._extensions = (PerMessageDeflate(True, True, 15, 15),) if is_deflated else ()
        self._frames_after_end = self._bytes_after_end = 0
        self.violation: DisconnectReason | None = None
        self.has_close = self.is_over = False

    @property
    def is_at_rest(self) -> bool:
        """Return whether this reader can be replaced by a new one when more bytes arrive: it holds no incomplete frame
        or message, and has counted nothing since the end of the connection.
        """
        return not (self._buffer or self._parser or self._opcode or self.violation or self.is_over)

    @property
    def is_flooded(self) -> bool:
        return self._frames_after_end > _MAX_FRAMES_AFTER_END or self._bytes_after_end > _MAX_BYTES_AFTER_END

    def feed(self, data: bytes) -> Iterator[Event]:
        """Parse received bytes, and yield an event for each message or frame that they complete.

        The next frame is parsed only after the caller has handled the event, so the caller may set `is_over` in
        between. A frame that breaks the protocol or the size limit sets `violation` and ends the events. Later calls
        report only a close frame. A flooded reader drops what it is given.
        """
        if self.is_over or self.violation is not None:
            self._bytes_after_end += len(data)
        if self.violation is not None:
            # After a violation it is unknown where the next frame begins. But the client's close frame, with which it
            # answers that of the server, often arrives alone and can then be recognized.
            if _is_close_frame(data):
                yield Opcode.CLOSE, 0
            return
        self._buffer += data
        try:
            while not self.is_flooded and (frame := self._next_frame()) is not None:
                self._frames_after_end += self.is_over
                event = self._event_of(frame)
                if event is not None:
                    yield event
        except _Violation as violation:
            self.violation = violation.reason
        if self.violation is not None or self.is_flooded:
            self._buffer.clear()

    def _next_frame(self) -> Frame | None:
        if not (self._buffer or self._parser):
            return None
        if self._parser is None:
            extensions = _DISCARD if self.is_over else self._extensions
            # One byte more than the limit, because the parser refuses a payload that inflates to exactly `max_size`
            # bytes. `_data` checks the exact limit.
            max_size = self._max_bytes - len(self._fragments) + 1
            self._parser = Frame.parse(self._read_exact, mask=True, max_size=max_size, extensions=extensions)
        try:
            next(self._parser)
        except StopIteration as complete:
            self._parser = None
            frame: Frame = complete.value
            return frame
        except PayloadTooBig:
            raise _Violation(DisconnectReason.MESSAGE_TOO_BIG) from None
        except ProtocolError:
            raise _Violation(DisconnectReason.PROTOCOL_ERROR) from None
        return None

    def _read_exact(self, size: int) -> Generator[None, None, bytearray]:
        while len(self._buffer) < size:
            yield
        data = self._buffer[:size]
        del self._buffer[:size]
        return data

    def _event_of(self, frame: Frame) -> Event | None:
        if frame.opcode is Opcode.CLOSE:
            self.has_close = True
            return Opcode.CLOSE, _close_code(frame)
        if self.is_over:
            return None
        if frame.opcode in CTRL_OPCODES:
            return frame.opcode, bytes(frame.data)
        return self._data(frame)

    def _data(self, frame: Frame) -> Event:
        if (frame.opcode is Opcode.CONT) is not (self._opcode is not None):
            raise _Violation(DisconnectReason.PROTOCOL_ERROR)
        opcode = self._opcode or frame.opcode
        if len(self._fragments) + len(frame.data) > self._max_bytes:
            raise _Violation(DisconnectReason.MESSAGE_TOO_BIG)
        if not frame.fin:
            self._opcode = opcode
            self._fragments += frame.data
            return Opcode.CONT, None
        payload = bytes(self._fragments) + bytes(frame.data)
        self._opcode = None
        self._fragments.clear()
        return self._complete(opcode, payload)

    def _complete(self, opcode: Opcode, payload: bytes) -> Event:
        if opcode is Opcode.BINARY:
            return Opcode.BINARY, None
        try:
            return Opcode.TEXT, str(payload, "utf-8")
        except UnicodeDecodeError:
            raise _Violation(DisconnectReason.INVALID_UTF8) from None


def _close_code(frame: Frame) -> int:
    """Return the code of a close frame, 0 if it has none. Raises _Violation if its payload is not valid."""
    try:
        code = Close.parse(frame.data).code
    except ProtocolError:
        raise _Violation(DisconnectReason.PROTOCOL_ERROR) from None
    except UnicodeDecodeError:
        raise _Violation(DisconnectReason.INVALID_UTF8) from None
    return 0 if code == CloseCode.NO_STATUS_RCVD else int(code)


def _is_close_frame(data: bytes) -> bool:
    """Return whether bytes are exactly one masked close frame."""
    if len(data) < _SHORT_HEAD_BYTES or data[0] != _CLOSE_HEAD or not data[1] & _MASK_BIT:
        return False
    return len(data) == _SHORT_HEAD_BYTES + (data[1] & _LENGTH_BITS)
