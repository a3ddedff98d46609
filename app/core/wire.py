"""What the server says, as bytes. This file owns the outbound messages and the WebSocket frames around them.

An item's frame is made once and written to every recipient: the item's JSON is made when it is stored and only spliced
here. Server frames are never masked (RFC 6455 section 5.1).
"""

import struct
from collections.abc import Mapping

import msgspec

from app.core import closing
from app.core.errors import NewsError
from app.core.subscription import Filter

# RFC 6455 section 5.2: FIN set, and the opcode.
_TEXT, _CLOSE, _PING, _PONG = b"\x81", b"\x88", b"\x89", b"\x8a"

_encode = msgspec.json.Encoder().encode


def text_frame(payload: bytes) -> bytes:
    """Put a text payload into one frame (RFC 6455 section 5.2)."""
    return _frame(_TEXT, payload)


def ping_frame(payload: bytes) -> bytes:
    return _frame(_PING, payload)


def pong_frame(payload: bytes) -> bytes:
    return _frame(_PONG, payload)


def close_frame(ending: closing.Ending) -> bytes:
    """The frame that announces an ending of ours."""
    return _frame(_CLOSE, struct.pack(">H", closing.CLOSES[ending].code) + closing.reason_text(ending).encode())


def close_reply_frame(code: int) -> bytes:
    """Echo a client's close code (RFC 6455 section 5.5.1); 0 stands for a close frame without one."""
    return _frame(_CLOSE, struct.pack(">H", code) if code else b"")


def news_item(seq: int, timestamp: float, item_json: bytes) -> bytes:
    """Give the payload of a news_item message; `timestamp` is when the item was accepted, Unix seconds."""
    return b'{"type":"news_item","seq":%d,"timestamp":%.6f,"data":%b}' % (seq, timestamp, item_json)


def pong(timestamp: float, seq: int, t: float | str | None, request_id: str | int | None) -> bytes:
    return _encode({"type": "pong", "timestamp": timestamp, "seq": seq} | _present(t=t, id=request_id))


def keep_alive(timestamp: float, seq: int, delivered: int, last_item_age_ms: int | None) -> bytes:
    """A checkpoint: the client holds every item up to `seq` that matches it, `delivered` of them since the last one."""
    feed = {"status": "ok", "last_item_age_ms": last_item_age_ms}
    return _encode({"type": "keep_alive", "timestamp": timestamp, "seq": seq, "delivered": delivered, "feed": feed})


def error(timestamp: float, problem: NewsError, request_id: str | int | None) -> bytes:
    retry_after_ms = None if problem.retry_after_s is None else int(problem.retry_after_s * 1000)
    errors = [{"pointer": bad.pointer, "detail": bad.detail} for bad in problem.fields] or None
    return _encode(
        {
            "type": "error",
            "message": problem.detail,
            "timestamp": timestamp,
            "code": problem.code,
            "retryable": problem.verdict.is_retryable,
        }
        | _present(id=request_id, retry_after_ms=retry_after_ms, errors=errors)
    )


def subscribed(
    request_id: str | int, channel: str, wants: Filter, seq: int, warnings: tuple[tuple[str, str], ...]
) -> bytes:
    return _encode(
        {
            "type": "subscribed",
            "id": request_id,
            "channel": channel,
            "filters": wants,
            "seq": seq,
            "warnings": [{"pointer": pointer, "detail": detail} for pointer, detail in warnings],
        }
    )


def explanation(request_id: str | int | None, document: Mapping[str, object]) -> bytes:
    return _encode({"type": "explanation", **document} | _present(id=request_id))


def _present(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _frame(head: bytes, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return head + bytes((size,)) + payload
    if size < 1 << 16:
        return head + b"\x7e" + struct.pack(">H", size) + payload
    return head + b"\x7f" + struct.pack(">Q", size) + payload
