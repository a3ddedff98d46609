"""Encode server messages as WebSocket frames.

The frame of a broadcast item is built once for all recipients that have the same compression window and the same
matching channels. The item's JSON, which was encoded when the item was stored, is only copied into the frame. Server
frames are never masked (RFC 6455 section 5.1).
"""

import struct

import msgspec

from app.core.protocol import close_codes, server_messages
from app.core.protocol.deflate import UNCOMPRESSED, deflate

# The first byte of a frame: FIN and the opcode (RFC 6455 section 5.2), and RSV1 for a compressed payload (RFC 7692
# section 6).
_TEXT, _DEFLATED_TEXT = b"\x81", b"\xc1"
_CLOSE, _PING, _PONG = b"\x88", b"\x89", b"\x8a"

_encode = msgspec.json.Encoder().encode


class EncodedMessage:
    """A message for many clients. Its frame for each compression window is encoded once, when the first connection
    needs it.
    """

    __slots__ = ("_payload", "frames")

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        # The frames encoded so far, by window bits.
        self.frames: dict[int, bytes] = {}

    def frame(self, window_bits: int = UNCOMPRESSED) -> bytes:
        """Return the message as a frame for connections with this compression window. `window_bits` is UNCOMPRESSED for
        connections without compression.
        """
        made = self.frames.get(window_bits)
        if made is None:
            made = self.frames[window_bits] = text_frame(self._payload, window_bits)
        return made


def text_frame(payload: bytes, window_bits: int = UNCOMPRESSED) -> bytes:
    """Return a payload as one text frame (RFC 6455 section 5.2), compressed unless `window_bits` is UNCOMPRESSED."""
    if window_bits == UNCOMPRESSED:
        return _frame(_TEXT, payload)
    return _frame(_DEFLATED_TEXT, deflate(payload, window_bits))


def ping_frame(payload: bytes) -> bytes:
    return _frame(_PING, payload)


def pong_frame(payload: bytes) -> bytes:
    return _frame(_PONG, payload)


def close_frame(reason: close_codes.DisconnectReason) -> bytes:
    """Return the close frame that the server sends to end a connection. It contains the close code and the reason text
    of `reason`.
    """
    return _frame(
        _CLOSE, struct.pack(">H", close_codes.CLOSE_CODES[reason].code) + close_codes.close_reason_text(reason).encode()
    )


def close_reply_frame(code: int) -> bytes:
    """Return the answer to a client's close frame, with the same code (RFC 6455 section 5.5.1). If the client's frame
    had no code, `code` is 0 and the answer has no code either.
    """
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
    """Return the payload of a news_item message; `timestamp` is when the item was accepted, in Unix seconds.

    `channels` are the names of the channels that match. The tuple is empty if `default` is the connection's only
    channel. `is_replay` marks an item that was read from the log, `is_redelivery` an item that was sent to this client
    before.
    """
    named = b',"channels":%b' % _encode(channels) if channels else b""
    replayed = b',"replay":true' if is_replay else b""
    again = b',"redelivered":true' if is_redelivery else b""
    head = b'{"type":"news_item","seq":%d,"timestamp":%.6f,"data":%b' % (seq, timestamp, item_json)
    return b"".join((head, named, replayed, again, b"}"))


def message_frame(message: server_messages.Message) -> bytes:
    """Return a message as a text frame that is not compressed."""
    return _frame(_TEXT, _encode(message))


def _frame(head: bytes, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return head + bytes((size,)) + payload
    if size < 1 << 16:
        return head + b"\x7e" + struct.pack(">H", size) + payload
    return head + b"\x7f" + struct.pack(">Q", size) + payload
