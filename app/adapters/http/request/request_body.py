"""Read request bodies, with limits for their content type, size, transfer rate and total time."""

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError

from app.adapters.http.response.problems import CONTENT_ENCODING_MUST_BE
from app.adapters.http.services import CONTEXT
from app.core.errors import ClientError, ErrorCode
from app.core.limits import RequestLimits
from app.flows.operations.call_limits import HeldBody

JSON = "application/json"
NDJSON = "application/x-ndjson"
_ENCODINGS = ("", "identity", "gzip", "deflate")


HELD: web.RequestKey[HeldBody] = web.RequestKey("held", HeldBody)
"""The bytes of a request's body, which are counted as held until the request is answered."""


async def read_body(request: web.Request, max_bytes: int, *types: str) -> bytes:
    """Read and return the body of a request, whose content type must be one of `types`.

    The header Content-Type is required. Without it, web pages of other origins could send a body to this server with no
    CORS preflight request first.

    Raises ClientError with UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, REQUEST_TIMEOUT, or INVALID_PARAMETER (the
    encoding of the body is broken), and ServerError(OVERLOADED) if the bodies of the caller's address are too large
    together.
    """
    content_type = request.headers.get("Content-Type", "")
    if request.content_type not in types or not content_type:
        detail = f"Content-Type {content_type!r} must be {' or '.join(types)}"
        raise ClientError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, detail)
    if request.headers.get("Content-Encoding", "").strip().lower() not in _ENCODINGS:
        raise ClientError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, CONTENT_ENCODING_MUST_BE)
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    context = request.app[CONTEXT]
    try:
        return await _receive(request, max_bytes, context.limits.requests)
    except TimeoutError:
        context.stats.server.record_slow_request()
        raise ClientError(ErrorCode.REQUEST_TIMEOUT, _too_slow(context.limits.requests)) from None
    except (HttpProcessingError, PayloadEncodingError, web.RequestPayloadError) as error:
        detail = "The body must be complete, and in the encoding that Content-Encoding names"
        raise ClientError(ErrorCode.INVALID_PARAMETER, detail) from error


async def _receive(request: web.Request, max_bytes: int, limits: RequestLimits) -> bytes:
    body, started = bytearray(), asyncio.get_running_loop().time()
    async with asyncio.timeout(limits.body_deadline_s(0)) as deadline:
        async for chunk in request.content.iter_any():
            request[HELD].add(len(chunk))
            body += chunk
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
            deadline.reschedule(started + limits.body_deadline_s(len(body)))
    return bytes(body)


def _too_slow(limits: RequestLimits) -> str:
    return (
        f"The body arrived too slowly: after {limits.head_timeout_s:g} s it must arrive at"
        f" {limits.min_body_rate_bytes_s:g} bytes a second or more, and be complete within {limits.body_timeout_s:g} s"
    )


def _too_large(max_bytes: int) -> ClientError:
    return ClientError(ErrorCode.PAYLOAD_TOO_LARGE, f"The body must be at most {max_bytes} bytes")
