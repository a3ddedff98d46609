"""The closed sets of label values, except those that core defines. Log events use the same words.

No label value is a text from a client or feed: a lone surrogate in it would break /metrics until a restart. No label
value is a user id either, because a series for each user would overload Prometheus.
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
    """Why an upgrade request, or a connection that had yet to send its token, was refused."""

    MISSING_USER = "missing_user"
    BAD_REQUEST = "bad_request"
    BAD_TOKEN = "bad_token"  # noqa: S105 - a word
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a word
    FORBIDDEN_ORIGIN = "forbidden_origin"
    FORBIDDEN_HOST = "forbidden_host"
    CAPACITY = "capacity"
    USER_LIMIT = "user_limit"
    ADDRESS_LIMIT = "address_limit"
    RATE_LIMITED = "rate_limited"
    RESUME_EXPIRED = "resume_expired"
    DRAINING = "draining"
    INTERNAL_ERROR = "internal_error"


class TokenCheck(StrEnum):
    """The result of verifying a token. `missing` includes connections whose client sent no `auth` message in time.
    `error` means that the keys for verifying tokens were not available.
    """

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
    """Why a client's message was refused. `schema` stands for a known type with wrong or missing fields. `rate_limited`
    also counts frames that are not messages, such as pings.
    """

    NOT_JSON = "not_json"
    BINARY = "binary"
    TOO_BIG = "too_big"
    UNKNOWN_TYPE = "unknown_type"
    SCHEMA = "schema"
    RATE_LIMITED = "rate_limited"


class Beat(StrEnum):
    """How a heartbeat ended: the client answered the ping, or was disconnected because it was silent."""

    PONG = "pong"
    TIMEOUT = "timeout"


class Sent(StrEnum):
    """The result of sending an item to a slot that matched it. `closed`: the connection was closing. `merged`: another
    channel of the connection matched too, and one send covers both. `failed`: because of an error the item was not
    sent, and is read from the log for this connection, or the connection was closed.
    """

    WRITTEN = "written"
    CLOSED = "closed"
    MERGED = "merged"
    FAILED = "failed"


class Broadcast(StrEnum):
    """The result of broadcasting an item that left the queue. `delivered`: at least one slot matched. `unmatched`: no
    slot matched. `error`: the item could not be matched, encoded, or sent to all; the connections that miss it read it
    from the log.
    """

    DELIVERED = "delivered"
    UNMATCHED = "unmatched"
    ERROR = "error"


class ProbeResult(StrEnum):
    """The result of a canary probe. `error` means that the canary could not connect, or lost its connection."""

    OK = "ok"
    TIMEOUT = "timeout"
    ERROR = "error"


class Stage(StrEnum):
    """The timed stages of an item's broadcast. The items of a batch are written together, so `write` is an equal share
    of that time for each of them.
    """

    MATCH = "match"
    ENCODE = "encode"
    WRITE = "write"


class SlowAction(StrEnum):
    """What the server did with a client that reads or acknowledges too slowly. `lagging`: its connection left live
    delivery because of unsent bytes. `window_full`: its connection left live delivery because the ack window is full.
    `caught_up`: its connection is live again.
    """

    LAGGING = "lagging"
    WINDOW_FULL = "window_full"
    CAUGHT_UP = "caught_up"
    DISCONNECTED = "disconnected"


class Resume(StrEnum):
    """The result for a connection that asked for missed items. `complete`: all of them are in the log; `empty`: there
    are none; `gap`: some cannot be sent; `invalid`: the request named no valid position.
    """

    COMPLETE = "complete"
    EMPTY = "empty"
    GAP = "gap"
    INVALID = "invalid"


class Redelivery(StrEnum):
    """Why an item was sent to the same client again. `timeout`: it was not acknowledged in time. `reconnect`: it was
    sent on an earlier connection and not acknowledged before the client reconnected.
    """

    TIMEOUT = "timeout"
    RECONNECT = "reconnect"


class Encoding(StrEnum):
    """How a frame's payload is encoded."""

    IDENTITY = "identity"
    DEFLATE = "deflate"


class RateScope(StrEnum):
    """The rate that was exceeded: messages of a connection, connects from an address, connects to the server, long
    replays of a device, filter changes of a user, or REST calls of an address or user.
    """

    MESSAGE = "message"
    CONNECT = "connect"
    SERVER_CONNECT = "server_connect"
    REPLAY = "replay"
    FILTER = "filter"
    READ = "read"
    PUBLISH = "publish"


class LimitHit(StrEnum):
    """Which limit refused a request or closed a connection."""

    MESSAGE_BYTES = "message_bytes"
    MESSAGE_RATE = "message_rate"
    BAD_MESSAGES = "bad_messages"
    FILTER_CHANGES = "filter_changes"
    REPLAY_RATE = "replay_rate"
    SLOW_REQUEST = "slow_request"
    SLOW_READER = "slow_reader"
    READ_RATE = "read_rate"
    PUBLISH_RATE = "publish_rate"
    ANSWERS = "answers"
    BODY_BYTES = "body_bytes"
    HTTP_CONNECTIONS = "http_connections"
    CONNECT_RATE = "connect_rate"
    SERVER_CONNECT_RATE = "server_connect_rate"
    CONNECTIONS = "connections"
    USER_CONNECTIONS = "user_connections"
    ADDRESS_CONNECTIONS = "address_connections"
    LAG = "lag"
    SILENCE = "silence"
    ACKS = "acks"
    LIFE = "life"
    STORED_CHANNELS = "stored_channels"
    USERS = "users"
    DEVICES = "devices"
    PUBLISH_BYTES = "publish_bytes"
    INTAKE = "intake"


class Fetch(StrEnum):
    """The result of one fetch of a feed. `new`: the feed had entries that were not seen before."""

    NEW = "new"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class Operation(StrEnum):
    """The kinds of database operations."""

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
    LOAD_SEEN = "load_seen"
    SAVE_SEEN = "save_seen"


class Fault(StrEnum):
    """The classes of database errors. `sync`: the disk failed to store written data. `file`: the database file was
    removed, replaced or truncated. `corrupt`: a part of the file is damaged.
    """

    BUSY = "busy"
    FULL = "full"
    SYNC = "sync"
    FILE = "file"
    CORRUPT = "corrupt"
    IO = "io"
    CONSTRAINT = "constraint"
    OTHER = "other"


class Severity(StrEnum):
    """The levels of log lines that are counted."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Method(StrEnum):
    """The HTTP methods that have routes. `other` stands for the method of every request that matches no registered pair
    of route and method.
    """

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
