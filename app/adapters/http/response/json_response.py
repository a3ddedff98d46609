"""Encode a document as a JSON response."""

from http import HTTPStatus

import msgspec
from aiohttp import hdrs, web

# Smaller bodies fit into one packet anyway. Larger ones than the second bound are compressed in a thread.
_MIN_COMPRESSED_BYTES = 1_400
_MAX_INLINE_BYTES = 16 * 1024

_encode = msgspec.json.Encoder().encode


def json_response(document: object, status: int = 200) -> web.Response:
    """Return a document as JSON, compressed if it is large and the client accepts that. Receipts of publishers (202)
    are not compressed, because that would cost more than it saves.
    """
    body = _encode(document)
    answer = web.Response(
        status=status, body=body, content_type="application/json", zlib_executor_size=_MAX_INLINE_BYTES
    )
    if status == HTTPStatus.OK and len(body) >= _MIN_COMPRESSED_BYTES:
        answer.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        answer.enable_compression()
    return answer
