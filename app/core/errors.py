"""The errors that are reported to callers over HTTP and WebSocket, and the meaning of each error code.

    NewsError
    ├── ClientError: bad input, not found, too large, too fast …
    │                the caller can correct the request; refusing it costs little,
    │                and the error is never logged as the server's fault
    └── ServerError: draining, at capacity, overloaded, storage full, internal …
                     the server cannot serve the request now; a retry may succeed unless ERROR_SPECS says otherwise

Code that handles a request raises these errors. Over HTTP, `adapters/http/response/problems.py` turns a NewsError into
problem+json. Over WebSocket, `core/protocol/server_messages.py` turns it into an `error` message. Both use the error's
code and the row of that code in `ERROR_SPECS`.
"""

from enum import StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """All error codes. Clients see the code of an error in problem+json and in `error` messages; logs show it as
    `reason`.
    """

    INVALID_JSON = "invalid_json"
    INVALID_MESSAGE = "invalid_message"
    INVALID_PARAMETER = "invalid_parameter"
    INVALID_FILTER = "invalid_filter"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNKNOWN_ITEM = "unknown_item"
    UNAUTHORIZED = "unauthorized"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a word
    FORBIDDEN = "forbidden"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    HOST_NOT_ALLOWED = "host_not_allowed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UPGRADE_REQUIRED = "upgrade_required"
    RESUME_EXPIRED = "resume_expired"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CHANNELS = "too_many_channels"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    LIMIT_REACHED = "limit_reached"
    DRAINING = "draining"
    AT_CAPACITY = "at_capacity"
    OVERLOADED = "overloaded"
    STORAGE_FULL = "storage_full"
    INTERNAL = "internal"


class ErrorSpec(NamedTuple):
    """What an error code means to a caller: the HTTP status, a title, and whether the same request
    may succeed later.
    """

    status: int
    title: str
    is_retryable: bool


ERROR_SPECS: dict[ErrorCode, ErrorSpec] = {
    ErrorCode.INVALID_JSON: ErrorSpec(400, "Invalid JSON", is_retryable=False),
    ErrorCode.INVALID_MESSAGE: ErrorSpec(400, "Invalid message", is_retryable=False),
    ErrorCode.INVALID_PARAMETER: ErrorSpec(400, "Invalid parameter", is_retryable=False),
    ErrorCode.INVALID_FILTER: ErrorSpec(422, "Invalid filters", is_retryable=False),
    ErrorCode.UNKNOWN_TYPE: ErrorSpec(400, "Unknown message type", is_retryable=False),
    ErrorCode.UNKNOWN_CHANNEL: ErrorSpec(404, "Unknown channel", is_retryable=False),
    ErrorCode.UNKNOWN_ITEM: ErrorSpec(404, "Unknown item", is_retryable=False),
    ErrorCode.UNAUTHORIZED: ErrorSpec(401, "Unauthorized", is_retryable=False),
    ErrorCode.TOKEN_EXPIRED: ErrorSpec(401, "Token expired", is_retryable=False),
    ErrorCode.FORBIDDEN: ErrorSpec(403, "Forbidden", is_retryable=False),
    ErrorCode.HOST_NOT_ALLOWED: ErrorSpec(421, "Host not allowed", is_retryable=False),
    ErrorCode.ORIGIN_NOT_ALLOWED: ErrorSpec(403, "Origin not allowed", is_retryable=False),
    ErrorCode.NOT_FOUND: ErrorSpec(404, "Not found", is_retryable=False),
    ErrorCode.METHOD_NOT_ALLOWED: ErrorSpec(405, "Method not allowed", is_retryable=False),
    ErrorCode.PAYLOAD_TOO_LARGE: ErrorSpec(413, "Payload too large", is_retryable=False),
    ErrorCode.REQUEST_TIMEOUT: ErrorSpec(408, "Request not received in time", is_retryable=True),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: ErrorSpec(415, "Unsupported media type", is_retryable=False),
    ErrorCode.UPGRADE_REQUIRED: ErrorSpec(426, "WebSocket upgrade required", is_retryable=False),
    ErrorCode.RESUME_EXPIRED: ErrorSpec(410, "The position cannot be resumed", is_retryable=False),
    ErrorCode.TOO_MANY_CHANNELS: ErrorSpec(400, "Too many channels", is_retryable=False),
    ErrorCode.RATE_LIMITED: ErrorSpec(429, "Too many requests", is_retryable=True),
    ErrorCode.TOO_MANY_CONNECTIONS: ErrorSpec(429, "Too many connections", is_retryable=True),
    ErrorCode.LIMIT_REACHED: ErrorSpec(429, "Too much is stored", is_retryable=False),
    ErrorCode.DRAINING: ErrorSpec(503, "The server is restarting", is_retryable=True),
    ErrorCode.AT_CAPACITY: ErrorSpec(503, "The server is at capacity", is_retryable=True),
    ErrorCode.OVERLOADED: ErrorSpec(503, "The server is overloaded", is_retryable=True),
    ErrorCode.STORAGE_FULL: ErrorSpec(507, "The disk is full", is_retryable=True),
    ErrorCode.INTERNAL: ErrorSpec(500, "Internal server error", is_retryable=True),
}


class FieldError(NamedTuple):
    """One wrong field of a request: `pointer` is a JSON pointer (RFC 6901) or the name of a parameter, and `detail`
    says what the field must be.
    """

    pointer: str
    detail: str


class NewsError(Exception):
    """An error that is reported to the caller.

    If `detail` is empty, the title of the code becomes the detail. `fields` lists the wrong fields. `retry_after_s` is
    the number of seconds after which the caller should retry, or None for no advice; an HTTP response adds jitter to
    it, so that callers do not all retry at the same time.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        fields: tuple[FieldError, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail or ERROR_SPECS[code].title)
        self.code = code
        self.fields = fields
        self.retry_after_s = retry_after_s

    @property
    def detail(self) -> str:
        return str(self)

    @property
    def spec(self) -> ErrorSpec:
        return ERROR_SPECS[self.code]


class ClientError(NewsError):
    """A mistake of the caller, such as bad input, a missing permission, or too many requests."""


class ServerError(NewsError):
    """A failure on the server's side: the server cannot serve a valid request now, because it is draining, full or
    broken.
    """


class CorruptStateError(Exception):
    """The stored state cannot be trusted: for example, the database is corrupt, or its schema is newer than this
    release. The server must not start.
    """
