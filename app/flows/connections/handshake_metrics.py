"""Map the error that refuses a handshake to its metric label."""

from app.core.errors import ErrorCode, NewsError
from app.flows.connections.admission import TooManyFromIp
from app.telemetry.labels import Refusal

_REFUSALS = {
    ErrorCode.UNAUTHORIZED: Refusal.BAD_TOKEN,
    ErrorCode.FORBIDDEN: Refusal.BAD_TOKEN,
    ErrorCode.TOKEN_EXPIRED: Refusal.EXPIRED_TOKEN,
    ErrorCode.ORIGIN_NOT_ALLOWED: Refusal.FORBIDDEN_ORIGIN,
    ErrorCode.HOST_NOT_ALLOWED: Refusal.FORBIDDEN_HOST,
    ErrorCode.AT_CAPACITY: Refusal.CAPACITY,
    ErrorCode.TOO_MANY_CONNECTIONS: Refusal.USER_LIMIT,
    ErrorCode.LIMIT_REACHED: Refusal.USER_LIMIT,
    ErrorCode.DRAINING: Refusal.DRAINING,
    ErrorCode.RATE_LIMITED: Refusal.RATE_LIMITED,
    ErrorCode.RESUME_EXPIRED: Refusal.RESUME_EXPIRED,
    ErrorCode.INTERNAL: Refusal.INTERNAL_ERROR,
    ErrorCode.OVERLOADED: Refusal.INTERNAL_ERROR,
}


def refusal_of(error: NewsError, *, names_user: bool) -> Refusal:
    """Return the metric label for the error that refused a handshake. An error code without a label of its own becomes
    MISSING_USER if the request has no user id (`names_user` is False), and BAD_REQUEST otherwise.
    """
    if isinstance(error, TooManyFromIp):
        return Refusal.ADDRESS_LIMIT
    return _REFUSALS.get(error.code, Refusal.BAD_REQUEST if names_user else Refusal.MISSING_USER)
