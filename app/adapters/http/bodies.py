"""Request bodies. This file owns how much is read, how long it may take, and of which type it must be."""

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError

from app.core.errors import Code, Theirs

JSON = "application/json"
NDJSON = "application/x-ndjson"


async def read_body(request: web.Request, most_bytes: int, within_s: float, *types: str) -> bytes:
    """Read a body. Raises Theirs: UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, REQUEST_TIMEOUT, INVALID_PARAMETER.

    The type is required: a body without one is what a page of another origin can send without being asked for leave.
    """
    given = request.headers.get("Content-Type", "")
    if request.content_type not in types or not given:
        raise Theirs(Code.UNSUPPORTED_MEDIA_TYPE, f"Content-Type {given!r}: want {' or '.join(types)}")
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        raise Theirs(Code.REQUEST_TIMEOUT, f"The body did not arrive within {within_s:g} s") from None
    except (HttpProcessingError, PayloadEncodingError, web.RequestPayloadError) as error:
        raise Theirs(Code.INVALID_PARAMETER, f"The body is broken: {error}") from None
    return bytes(body)


def _too_large(most_bytes: int) -> Theirs:
    return Theirs(Code.PAYLOAD_TOO_LARGE, f"The body is larger than {most_bytes} bytes")
