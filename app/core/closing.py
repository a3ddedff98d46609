"""Why a connection ends. This file owns the table of endings: the word, the close code, what the client should do.

The word is the metric's `reason` label, the log's `reason` field and the start of the close frame's reason text. The
server never closes with 1000 or 1001: the original's client then reconnects without a pause. 4000-4499 mean
"reconnect", 4500-4999 mean "not until something changed" (docs/protocol.md).
"""

from enum import StrEnum
from typing import NamedTuple

ABNORMAL = 1006
"""RFC 6455 section 7.4.1: never on the wire; what a peer that vanished is said to have closed with."""

CLOSE_HANDSHAKE_S = 1.0
"""How long a client may take to answer a close frame before its transport is aborted."""


class Ending(StrEnum):
    """What ended a connection."""

    CLIENT = "client"
    GOING_AWAY = "going_away"
    NETWORK = "network"
    PROTOCOL_ERROR = "protocol_error"
    UNSUPPORTED_DATA = "unsupported_data"
    INVALID_UTF8 = "invalid_utf8"
    MESSAGE_TOO_BIG = "message_too_big"
    INTERNAL_ERROR = "internal_error"
    SHUTDOWN = "shutdown"
    LIFETIME = "lifetime"
    SLOW_CONSUMER = "slow_consumer"
    HEARTBEAT_TIMEOUT = "heartbeat_timeout"
    ACK_TIMEOUT = "ack_timeout"
    RATE_LIMITED = "rate_limited"
    KICKED = "kicked"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a word
    UNAUTHENTICATED = "unauthenticated"
    TOO_MANY_BAD_MESSAGES = "too_many_bad_messages"
    REPLACED = "replaced"


class Close(NamedTuple):
    """How an ending looks on the wire. `retry_after_s` is what the close reason advises; None advises nothing."""

    code: int
    retry_after_s: float | None = None


CLOSES: dict[Ending, Close] = {
    Ending.CLIENT: Close(1000),
    Ending.GOING_AWAY: Close(1001),
    Ending.NETWORK: Close(ABNORMAL),
    Ending.PROTOCOL_ERROR: Close(1002),
    Ending.UNSUPPORTED_DATA: Close(1003),
    Ending.INVALID_UTF8: Close(1007),
    Ending.MESSAGE_TOO_BIG: Close(1009),
    Ending.INTERNAL_ERROR: Close(1011, retry_after_s=5),
    Ending.SHUTDOWN: Close(1012, retry_after_s=3),
    Ending.LIFETIME: Close(1012, retry_after_s=1),
    Ending.SLOW_CONSUMER: Close(4008, retry_after_s=3),
    Ending.HEARTBEAT_TIMEOUT: Close(4010, retry_after_s=1),
    Ending.ACK_TIMEOUT: Close(4012, retry_after_s=1),
    Ending.RATE_LIMITED: Close(4029, retry_after_s=30),
    Ending.KICKED: Close(4500),
    Ending.TOKEN_EXPIRED: Close(4501),
    Ending.UNAUTHENTICATED: Close(4502),
    Ending.TOO_MANY_BAD_MESSAGES: Close(4503),
    Ending.REPLACED: Close(4504),
}

BY_CLIENT = frozenset({Ending.CLIENT, Ending.GOING_AWAY, Ending.NETWORK})
"""Endings that the server only hears of: it must never send their codes."""


SEATED: tuple[Ending, ...] = tuple(ending for ending in Ending if ending is not Ending.UNAUTHENTICATED)
"""Endings of connections that had a seat; what never had one is counted among the handshakes."""


def reason_text(ending: Ending) -> str:
    """Give the machine-readable reason of a close frame, at most 123 bytes: `slow_consumer;retry_after_ms=3000`."""
    retry_after_s = CLOSES[ending].retry_after_s
    return ending.value if retry_after_s is None else f"{ending.value};retry_after_ms={int(retry_after_s * 1000)}"


def may_be_sent(code: int) -> bool:
    """Say whether a peer may put the code on the wire (RFC 6455 sections 7.4.1 and 7.4.2)."""
    return code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999


def of_client_code(code: int) -> Ending:
    """Name the ending that a client's close frame announces."""
    return Ending.GOING_AWAY if code == CLOSES[Ending.GOING_AWAY].code else Ending.CLIENT
