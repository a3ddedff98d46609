"""Turn the exceptions of request handlers into responses of type application/problem+json (RFC 9457)."""

import random
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import ContentEncodingError, LineTooLong
from aiohttp.typedefs import Handler
from msgspec import UNSET

from app.adapters.http.aiohttp_internals import ResponseBeforeRouting
from app.adapters.http.response.responses import Problem
from app.core.errors import ERROR_SPECS, ErrorCode, NewsError
from app.core.protocol.server_messages import FieldProblem

VERSION_HEADER, WEBSOCKET_VERSION = "Sec-WebSocket-Version", "13"
CONTENT_ENCODING_MUST_BE = "Content-Encoding must be gzip or deflate, or absent"
UNKNOWN_ROUTE = "unknown"
_JITTER = 0.5
_BY_STATUS = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.PAYLOAD_TOO_LARGE,
}
_log = structlog.get_logger("http")


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn an exception of a handler into a problem response.

    An HTTPException with a status below 400, such as a redirect, is raised again; so is ConnectionError, which means
    that the client is gone. An unexpected exception is logged and answered with 500.
    """
    try:
        return await handler(request)
    except NewsError as error:
        return problem(request, error)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        code = _BY_STATUS.get(error.status, ErrorCode.INVALID_PARAMETER)
        answer = problem(request, NewsError(code, error.reason), status=error.status)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except ConnectionError:
        raise
    # An unexpected exception must fail only this request, not the server.
    except Exception:  # noqa: BLE001
        _log.exception("request_failed", method=request.method, route=route_of(request))
        return problem(request, NewsError(ErrorCode.INTERNAL))


def problem(request: web.Request, error: NewsError, status: int | None = None) -> web.Response:
    """Return the problem response for an error, with the headers that its status requires.

    `status` replaces the status that belongs to the error's code.
    """
    status = status or error.spec.status
    document = Problem(
        type=f"/docs/errors#{error.code}",
        title=error.spec.title,
        status=status,
        detail=error.detail,
        instance=request.path,
        code=error.code,
        errors=tuple(FieldProblem(*bad) for bad in error.fields) or UNSET,
    )
    answer = web.Response(status=status, body=_encode(document), content_type="application/problem+json")
    if error.retry_after_s is not None:
        # Up to 50 % of jitter, so that clients that were refused at the same time do not retry at the same time.
        spread_s = error.retry_after_s * random.uniform(1, 1 + _JITTER)  # noqa: S311
        answer.headers["Retry-After"] = str(max(1, round(spread_s)))
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750 section 3 requires this header in a 401.
        answer.headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.UPGRADE_REQUIRED:
        answer.headers["Upgrade"] = "websocket"
    if status == HTTPStatus.UPGRADE_REQUIRED or any(bad.pointer == VERSION_HEADER for bad in error.fields):
        # RFC 6455 section 4.4: so that a client of another version learns which one to use.
        answer.headers[VERSION_HEADER] = WEBSOCKET_VERSION
    return answer


def problem_before_routing(error: BaseException | None, status: int) -> web.Response:
    """Return the problem response for a request that aiohttp could not parse, or for an unexpected error while it was
    handled. It says what is wrong without repeating anything from the request.
    """
    code, detail = ErrorCode.INVALID_PARAMETER, "The request must be valid HTTP/1.1"
    if isinstance(error, ContentEncodingError):
        status, code, detail = 415, ErrorCode.UNSUPPORTED_MEDIA_TYPE, CONTENT_ENCODING_MUST_BE
    elif isinstance(error, LineTooLong):
        is_path = bytes(error.args[0]).startswith(b"/")
        status, detail = (414, "The URL is too long") if is_path else (431, "A header is too long")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        code, detail = ErrorCode.INTERNAL, ""
    spec = ERROR_SPECS[code]
    document = Problem(f"/docs/errors#{code}", spec.title, status, detail or spec.title, code)
    answer = ResponseBeforeRouting(status=status, body=_encode(document), content_type="application/problem+json")
    answer.force_close()
    return answer


async def add_security_headers(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add headers to a response before it is sent: browsers must not guess its type, and nothing must store it unless
    the response says otherwise. The header that names the server's software and its versions is removed.
    """
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.popall(hdrs.SERVER, None)


def route_of(request: web.Request) -> str:
    """Return the template of a request's route, such as `/api/v1/news/{id}`; UNKNOWN_ROUTE if no route matched.

    Metrics use the template as a label. They must not use the path, because clients can choose any path.
    """
    try:
        resource = request.match_info.route.resource
    except AssertionError:
        # aiohttp could not parse the request, so the router has not set match_info.
        return UNKNOWN_ROUTE
    return template_of(resource) if resource is not None else UNKNOWN_ROUTE


def template_of(resource: web.AbstractResource) -> str:
    """Return the template of a route, without the slash at the end of its second form."""
    return resource.canonical.rstrip("/") or "/"


def _encode(document: Problem) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        # The path has a lone surrogate, which UTF-8 cannot encode. RFC 9457 allows `instance` to be absent.
        return msgspec.json.encode(msgspec.structs.replace(document, instance=UNSET))
