"""Define the reasons why connections end, and the close code and retry advice of each.

The value of a reason is the `reason` label of metrics, the `reason` field of log events and the start of the close
frame's reason text. The server never starts a close with 1000 or 1001: clients of the original FastAPI service, which
this one replaces, would reconnect without a pause. 4000-4499 mean "reconnect", 4500-4999 mean "do not reconnect until
something has changed" (docs/protocol.md).
"""

from enum import StrEnum
from typing import NamedTuple

ABNORMAL = 1006
"""The code that stands for a connection lost without a close frame (RFC 6455 section 7.4.1). It is never sent."""

CLOSE_HANDSHAKE_S = 1.0
"""How many seconds a connection may stay open after its first close frame, sent or received. Then its transport is
aborted.
"""


class DisconnectReason(StrEnum):
    """Why a connection ended. CLIENT, GOING_AWAY and NETWORK come from the client or the network, all others from the
    server.
    """

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


class CloseSpec(NamedTuple):
    """The close code of a disconnect reason, and the seconds after which the client is advised to reconnect.
    `retry_after_s` is None if the close frame contains no such advice.
    """

    code: int
    retry_after_s: float | None = None


CLOSE_CODES: dict[DisconnectReason, CloseSpec] = {
    DisconnectReason.CLIENT: CloseSpec(1000),
    DisconnectReason.GOING_AWAY: CloseSpec(1001),
    DisconnectReason.NETWORK: CloseSpec(ABNORMAL),
    DisconnectReason.PROTOCOL_ERROR: CloseSpec(1002),
    DisconnectReason.UNSUPPORTED_DATA: CloseSpec(1003),
    DisconnectReason.INVALID_UTF8: CloseSpec(1007),
    DisconnectReason.MESSAGE_TOO_BIG: CloseSpec(1009),
    DisconnectReason.INTERNAL_ERROR: CloseSpec(1011, retry_after_s=5),
    DisconnectReason.SHUTDOWN: CloseSpec(1012, retry_after_s=3),
    DisconnectReason.LIFETIME: CloseSpec(1012, retry_after_s=1),
    DisconnectReason.SLOW_CONSUMER: CloseSpec(4008, retry_after_s=3),
    DisconnectReason.HEARTBEAT_TIMEOUT: CloseSpec(4010, retry_after_s=1),
    DisconnectReason.ACK_TIMEOUT: CloseSpec(4012, retry_after_s=1),
    DisconnectReason.RATE_LIMITED: CloseSpec(4029, retry_after_s=30),
    DisconnectReason.KICKED: CloseSpec(4500),
    DisconnectReason.TOKEN_EXPIRED: CloseSpec(4501),
    DisconnectReason.UNAUTHENTICATED: CloseSpec(4502),
    DisconnectReason.TOO_MANY_BAD_MESSAGES: CloseSpec(4503),
    DisconnectReason.REPLACED: CloseSpec(4504),
}

CLIENT_REASONS = frozenset({DisconnectReason.CLIENT, DisconnectReason.GOING_AWAY, DisconnectReason.NETWORK})
"""The reasons that come from the client or the network. The server must never start a close with their codes."""


ADMITTED_REASONS: tuple[DisconnectReason, ...] = tuple(
    reason for reason in DisconnectReason if reason is not DisconnectReason.UNAUTHENTICATED
)
"""The reasons for which an admitted connection can end. UNAUTHENTICATED is left out: it ends only connections that were
never admitted, and these count as failed handshakes.
"""


def close_reason_text(reason: DisconnectReason) -> str:
    """Return the reason text of a close frame, for example `slow_consumer;retry_after_ms=3000`. Every text fits into
    the 123 bytes that a close frame has for it.
    """
    retry_after_s = CLOSE_CODES[reason].retry_after_s
    return reason.value if retry_after_s is None else f"{reason.value};retry_after_ms={int(retry_after_s * 1000)}"


def reason_of_client_code(code: int) -> DisconnectReason:
    """Return GOING_AWAY for the code 1001 in a client's close frame, and CLIENT for every other code."""
    return (
        DisconnectReason.GOING_AWAY
        if code == CLOSE_CODES[DisconnectReason.GOING_AWAY].code
        else DisconnectReason.CLIENT
    )
