"""What a handshake that came to nothing is counted as. This file owns the step from an error to that word."""

from collections.abc import Mapping

from app.core.errors import ErrorCode, NewsError
from app.flows.connections.ip_limits import TooManyFromIp
from app.telemetry.labels import Refusal

_REFUSALS = {
    ErrorCode.UNAUTHORIZED: Refusal.BAD_TOKEN,
    ErrorCode.FORBIDDEN: Refusal.BAD_TOKEN,
    ErrorCode.TOKEN_EXPIRED: Refusal.EXPIRED_TOKEN,
    ErrorCode.ORIGIN_NOT_ALLOWED: Refusal.FORBIDDEN_ORIGIN,
    ErrorCode.AT_CAPACITY: Refusal.CAPACITY,
    ErrorCode.TOO_MANY_CONNECTIONS: Refusal.USER_LIMIT,
    ErrorCode.DRAINING: Refusal.DRAINING,
    ErrorCode.RATE_LIMITED: Refusal.RATE_LIMITED,
    ErrorCode.RESUME_EXPIRED: Refusal.RESUME_EXPIRED,
    ErrorCode.INTERNAL: Refusal.INTERNAL_ERROR,
    ErrorCode.OVERLOADED: Refusal.INTERNAL_ERROR,
}


def refusal(error: NewsError, query: Mapping[str, str]) -> Refusal:
    """Name the refusal; who sent no user is told apart from who sent something else that is wrong."""
    if isinstance(error, TooManyFromIp):
        return Refusal.ADDRESS_LIMIT
    unnamed = Refusal.BAD_REQUEST if "user_id" in query else Refusal.MISSING_USER
    return _REFUSALS.get(error.code, unnamed)
