"""What a handshake that came to nothing is counted as. This file owns the step from an error to that word."""

from collections.abc import Mapping

from app.core.errors import Code, NewsError
from app.flows.addresses import TooManyFromAddress
from app.telemetry.labels import Refusal

_REFUSALS = {
    Code.UNAUTHORIZED: Refusal.BAD_TOKEN,
    Code.FORBIDDEN: Refusal.BAD_TOKEN,
    Code.TOKEN_EXPIRED: Refusal.EXPIRED_TOKEN,
    Code.ORIGIN_NOT_ALLOWED: Refusal.FORBIDDEN_ORIGIN,
    Code.AT_CAPACITY: Refusal.CAPACITY,
    Code.TOO_MANY_CONNECTIONS: Refusal.USER_LIMIT,
    Code.DRAINING: Refusal.DRAINING,
    Code.RATE_LIMITED: Refusal.RATE_LIMITED,
    Code.RESUME_EXPIRED: Refusal.RESUME_EXPIRED,
    Code.INTERNAL: Refusal.INTERNAL_ERROR,
    Code.OVERLOADED: Refusal.INTERNAL_ERROR,
}


def refusal(error: NewsError, query: Mapping[str, str]) -> Refusal:
    """Name the refusal; who sent no user is told apart from who sent something else that is wrong."""
    if isinstance(error, TooManyFromAddress):
        return Refusal.ADDRESS_LIMIT
    unnamed = Refusal.BAD_REQUEST if "user_id" in query else Refusal.MISSING_USER
    return _REFUSALS.get(error.code, unnamed)
