"""The closed sets of label values. This file owns every one that core does not: a label is one of these or none.

The same words stand in the logs. Nothing from outside ever becomes a label: one lone surrogate in one would end
/metrics for good, and one label a user would end Prometheus.
"""

from enum import StrEnum


class Intake(StrEnum):
    """Which way an item came in."""

    RSS = "rss"
    API = "api"
    SAMPLE = "sample"


class Rejection(StrEnum):
    """Why an item did not get into the log."""

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
    """What came of asking a caller for a token; `error`: the keys to check it with could not be had."""

    OK = "ok"
    MISSING = "missing"
    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    WRONG_AUDIENCE = "wrong_audience"
    REVOKED = "revoked"
    ERROR = "error"


class Inbound(StrEnum):
    """What a client's message was; `unknown` is all that the protocol does not have."""

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
    """What became of an item for a slot that matched it; `merged`: another channel of the connection matched too."""

    WRITTEN = "written"
    CLOSED = "closed"
    MERGED = "merged"


class Broadcast(StrEnum):
    """What became of an item that left the queue."""

    DELIVERED = "delivered"
    UNMATCHED = "unmatched"
    ERROR = "error"


class ProbeResult(StrEnum):
    """How a probe of the canary ended; `error`: the canary could not connect, or lost its connection."""

    OK = "ok"
    TIMEOUT = "timeout"
    ERROR = "error"


class Stage(StrEnum):
    """What a broadcast spends its time on."""

    MATCH = "match"
    ENCODE = "encode"
    WRITE = "write"


class SlowAction(StrEnum):
    """What was done to a client that took, or acknowledged, too little; `caught_up` is how that ends well."""

    LAGGING = "lagging"
    WINDOW_FULL = "window_full"
    CAUGHT_UP = "caught_up"
    DISCONNECTED = "disconnected"


class Resume(StrEnum):
    """What came of a connection that asked for what it missed; `empty`: it missed nothing."""

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
    """What was too fast."""

    MESSAGE = "message"
    CONNECT = "connect"
    SERVER_CONNECT = "server_connect"
    REPLAY = "replay"
    FILTER = "filter"


class LimitHit(StrEnum):
    """Which limit refused or ended something."""

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
    """What became of one look at a feed."""

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
    """A log line that somebody may have to read."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Method(StrEnum):
    """The HTTP methods that have routes; `other` is all that have none."""

    GET = "GET"
    POST = "POST"
    DELETE = "DELETE"
    OTHER = "other"


class StatusClass(StrEnum):
    """The class of an HTTP status; 1xx is an upgrade."""

    UPGRADE = "1xx"
    OK = "2xx"
    REDIRECT = "3xx"
    THEIRS = "4xx"
    OURS = "5xx"
