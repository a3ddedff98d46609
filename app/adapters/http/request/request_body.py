"""Request bodies. This file owns how much is read, how slowly it may come, and of which type it must be."""

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError

from app.adapters.http.services import PARTS
from app.core.errors import ClientError, ErrorCode
from app.core.limits import Limits, body_deadline_s

JSON = "application/json"
NDJSON = "application/x-ndjson"


async def read_body(request: web.Request, most_bytes: int, *types: str) -> bytes:
    """Read a body. Raises Theirs: UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, REQUEST_TIMEOUT, INVALID_PARAMETER.

    The type is required: a body without one is what a page of another origin can send without being asked for leave.
    """
    given = request.headers.get("Content-Type", "")
    if request.content_type not in types or not given:
        raise ClientError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, f"Content-Type {given!r}: want {' or '.join(types)}")
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    limits, stats = request.app[PARTS].limits, request.app[PARTS].stats
    body, began = bytearray(), asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(body_deadline_s(0, limits)) as due:
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise _too_large(most_bytes)
                due.reschedule(began + body_deadline_s(len(body), limits))
    except TimeoutError:
        stats.requests_given_up += 1
        raise ClientError(ErrorCode.REQUEST_TIMEOUT, _too_slow(limits)) from None
    except (HttpProcessingError, PayloadEncodingError, web.RequestPayloadError) as error:
        raise ClientError(ErrorCode.INVALID_PARAMETER, f"The body is broken: {error}") from None
    return bytes(body)


def _too_slow(limits: Limits) -> str:
    return (
        f"The body came too slowly: want {limits.body_bytes_s:g} bytes a second after {limits.request_patience_s:g} s,"
        f" and all of it within {limits.body_read_s:g} s"
    )


def _too_large(most_bytes: int) -> ClientError:
    return ClientError(ErrorCode.PAYLOAD_TOO_LARGE, f"The body is larger than {most_bytes} bytes")
