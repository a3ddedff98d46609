"""The closed sets of label values, except those that core defines.

The same words are in the logs. Nothing from outside becomes a label value: a lone surrogate would break /metrics until
a restart, and a label for each user would overload Prometheus.
"""

from enum import StrEnum


class Intake(StrEnum):
    """How an item came in."""

    RSS = "rss"
    API = "api"
    SAMPLE = "sample"


class Rejection(StrEnum):
    """Why an item was not stored."""

    DUPLICATE = "duplicate"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    QUEUE_FULL = "queue_full"
    STORAGE = "storage"
    UNAUTHORIZED = "unauthorized"


class Refusal(StrEnum):
    """Why an upgrade request was refused."""

    MISSING_USER = "missing_user"
    BAD_REQUEST = "bad_request"
    BAD_TOKEN = "bad_token"  # noqa: S105 - a word
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a word
    FORBIDDEN_ORIGIN = "forbidden_origin"
    CAPACITY = "capacity"
    USER_LIMIT = "user_limit"
    ADDRESS_LIMIT = "address_limit"
    RATE_LIMITED = "rate_limited"
    RESUME_EXPIRED = "resume_expired"
    DRAINING = "draining"
    INTERNAL_ERROR = "internal_error"


class TokenCheck(StrEnum):
    """The result of verifying a caller's token; `error`: the keys were not available."""

    OK = "ok"
    MISSING = "missing"
    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    WRONG_AUDIENCE = "wrong_audience"
    REVOKED = "revoked"
    ERROR = "error"


class Inbound(StrEnum):
    """The type of a client's message; `unknown` is every type that the protocol does not have."""

    PING = "ping"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    LIST = "list"
    ACK = "ack"
    EXPLAIN = "explain"
    REFRESH = "refresh"
    AUTH = "auth"
    UNKNOWN = "unknown"


class Invalid(StrEnum):
    """Why a client's message was refused."""

    NOT_JSON = "not_json"
    BINARY = "binary"
    TOO_BIG = "too_big"
    UNKNOWN_TYPE = "unknown_type"
    SCHEMA = "schema"
    RATE_LIMITED = "rate_limited"


class Beat(StrEnum):
    """How a heartbeat ended."""

    PONG = "pong"
    TIMEOUT = "timeout"


class Sent(StrEnum):
    """The result of an item for a slot that matched it; `merged`: another channel of the connection matched too."""

    WRITTEN = "written"
    CLOSED = "closed"
    MERGED = "merged"


class Broadcast(StrEnum):
    """The result of an item that left the queue."""

    DELIVERED = "delivered"
    UNMATCHED = "unmatched"
    ERROR = "error"


class ProbeResult(StrEnum):
    """The result of a canary probe; `error`: the canary could not connect, or lost its connection."""

    OK = "ok"
    TIMEOUT = "timeout"
    ERROR = "error"


class Stage(StrEnum):
    """The stages of a broadcast."""

    MATCH = "match"
    ENCODE = "encode"
    WRITE = "write"


class SlowAction(StrEnum):
    """What the server did with a client that reads or acknowledges too slowly; `caught_up` is the good end."""

    LAGGING = "lagging"
    WINDOW_FULL = "window_full"
    CAUGHT_UP = "caught_up"
    DISCONNECTED = "disconnected"


class Resume(StrEnum):
    """The result for a connection that asked for missed items; `empty`: it missed nothing."""

    COMPLETE = "complete"
    EMPTY = "empty"
    GAP = "gap"
    INVALID = "invalid"


class Redelivery(StrEnum):
    """Why an item was sent to the same client again."""

    TIMEOUT = "timeout"
    RECONNECT = "reconnect"


class Encoding(StrEnum):
    """How a frame's payload is encoded."""

    IDENTITY = "identity"
    DEFLATE = "deflate"


class RateScope(StrEnum):
    """Which rate was exceeded."""

    MESSAGE = "message"
    CONNECT = "connect"
    SERVER_CONNECT = "server_connect"
    REPLAY = "replay"
    FILTER = "filter"


class LimitHit(StrEnum):
    """Which limit refused a request or closed a connection."""

    MESSAGE_BYTES = "message_bytes"
    MESSAGE_RATE = "message_rate"
    BAD_MESSAGES = "bad_messages"
    FILTER_CHANGES = "filter_changes"
    REPLAY_RATE = "replay_rate"
    SLOW_REQUEST = "slow_request"
    CONNECT_RATE = "connect_rate"
    SERVER_CONNECT_RATE = "server_connect_rate"
    CONNECTIONS = "connections"
    USER_CONNECTIONS = "user_connections"
    ADDRESS_CONNECTIONS = "address_connections"
    LAG = "lag"
    SILENCE = "silence"
    ACKS = "acks"
    LIFE = "life"
    PUBLISH_BYTES = "publish_bytes"
    INTAKE = "intake"


class Fetch(StrEnum):
    """The result of one fetch of a feed."""

    NEW = "new"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class Operation(StrEnum):
    """What is done with the database."""

    APPEND_HISTORY = "append_history"
    READ_HISTORY = "read_history"
    QUERY_HISTORY = "query_history"
    PURGE_HISTORY = "purge_history"
    LOAD_SUBSCRIPTION = "load_subscription"
    SAVE_SUBSCRIPTION = "save_subscription"
    DELETE_SUBSCRIPTION = "delete_subscription"
    LOAD_CURSOR = "load_cursor"
    SAVE_CURSOR = "save_cursor"
    LOAD_REVOCATIONS = "load_revocations"
    SAVE_REVOCATION = "save_revocation"


class Fault(StrEnum):
    """How the database failed."""

    BUSY = "busy"
    FULL = "full"
    SYNC = "sync"
    IO = "io"
    CONSTRAINT = "constraint"
    OTHER = "other"


class Severity(StrEnum):
    """The levels of log lines that are counted."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Method(StrEnum):
    """The HTTP methods that have routes; `other` is every other method."""

    GET = "GET"
    POST = "POST"
    DELETE = "DELETE"
    OTHER = "other"


class StatusClass(StrEnum):
    """The class of an HTTP status; 1xx is an upgrade."""

    UPGRADE = "1xx"
    OK = "2xx"
    REDIRECT = "3xx"
    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
