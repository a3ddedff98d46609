"""What the server says, as bytes. This file owns the outbound messages and the WebSocket frames around them.

An item's frame is made once and written to every recipient: the item's JSON is made when it is stored and only spliced
here. Server frames are never masked (RFC 6455 section 5.1).
"""

import struct

import msgspec

from app.core.protocol import close_codes, server_messages
from app.core.protocol.deflate import UNCOMPRESSED, deflate

# RFC 6455 section 5.2: FIN set, and the opcode; RFC 7692 section 6: RSV1 says that the payload is compressed.
_TEXT, _DEFLATED_TEXT = b"\x81", b"\xc1"
_CLOSE, _PING, _PONG = b"\x88", b"\x89", b"\x8a"

_encode = msgspec.json.Encoder().encode


class EncodedMessage:
    """A message that goes to many. Each of its frames is made once, when the first connection needs it."""

    __slots__ = ("_payload", "frames")

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        # By the window that it is compressed with.
        self.frames: dict[int, bytes] = {}

    def frame(self, window_bits: int = UNCOMPRESSED) -> bytes:
        """Give the frame for connections that agreed on this window."""
        made = self.frames.get(window_bits)
        if made is None:
            made = self.frames[window_bits] = text_frame(self._payload, window_bits)
        return made


def text_frame(payload: bytes, window_bits: int = UNCOMPRESSED) -> bytes:
    """Put a text payload into one frame (RFC 6455 section 5.2), compressed where a window was agreed."""
    if window_bits == UNCOMPRESSED:
        return _frame(_TEXT, payload)
    return _frame(_DEFLATED_TEXT, deflate(payload, window_bits))


def ping_frame(payload: bytes) -> bytes:
    return _frame(_PING, payload)


def pong_frame(payload: bytes) -> bytes:
    return _frame(_PONG, payload)


def close_frame(ending: close_codes.DisconnectReason) -> bytes:
    """The frame that announces an ending of ours."""
    return _frame(
        _CLOSE, struct.pack(">H", close_codes.CLOSE_CODES[ending].code) + close_codes.close_reason_text(ending).encode()
    )


def close_reply_frame(code: int) -> bytes:
    """Echo a client's close code (RFC 6455 section 5.5.1); 0 stands for a close frame without one."""
    return _frame(_CLOSE, struct.pack(">H", code) if code else b"")


def news_item(
    seq: int,
    timestamp: float,
    item_json: bytes,
    channels: tuple[str, ...] = (),
    *,
    is_replay: bool = False,
    is_redelivery: bool = False,
) -> bytes:
    """Give the payload of a news_item message; `timestamp` is when the item was accepted, Unix seconds.

    `channels` are those that want it, where the connection has names for them; `is_replay`: it comes from the log;
    `is_again`: it was sent to this client before.
    """
    named = b',"channels":%b' % _encode(channels) if channels else b""
    replayed = b',"replay":true' if is_replay else b""
    again = b',"redelivered":true' if is_redelivery else b""
    head = b'{"type":"news_item","seq":%d,"timestamp":%.6f,"data":%b' % (seq, timestamp, item_json)
    return b"".join((head, named, replayed, again, b"}"))


def message_frame(message: server_messages.Message) -> bytes:
    """Put a message that goes to one client into a frame."""
    return _frame(_TEXT, _encode(message))


def _frame(head: bytes, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return head + bytes((size,)) + payload
    if size < 1 << 16:
        return head + b"\x7e" + struct.pack(">H", size) + payload
    return head + b"\x7f" + struct.pack(">Q", size) + payload
