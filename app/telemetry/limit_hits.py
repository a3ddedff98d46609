"""Which limits were hit. This file owns the one view of all of them, read from what each place counts anyway."""

from collections.abc import Mapping

from app.core.protocol.close_codes import DisconnectReason
from app.telemetry.labels import Invalid, LimitHit, RateScope, Refusal, Rejection
from app.telemetry.stats import Stats


def limit_hits(stats: Stats) -> Mapping[LimitHit, int]:
    """Give how often each limit ended or refused something since the start."""
    return {
        LimitHit.MESSAGE_BYTES: stats.invalid[Invalid.TOO_BIG],
        LimitHit.MESSAGE_RATE: stats.rate_limited[RateScope.MESSAGE],
        LimitHit.BAD_MESSAGES: stats.closed[DisconnectReason.TOO_MANY_BAD_MESSAGES],
        LimitHit.FILTER_CHANGES: stats.rate_limited[RateScope.FILTER],
        LimitHit.REPLAY_RATE: stats.rate_limited[RateScope.REPLAY],
        LimitHit.SLOW_REQUEST: stats.requests_given_up,
        LimitHit.CONNECT_RATE: stats.rate_limited[RateScope.CONNECT],
        LimitHit.SERVER_CONNECT_RATE: stats.rate_limited[RateScope.SERVER_CONNECT],
        LimitHit.CONNECTIONS: stats.refused[Refusal.CAPACITY],
        LimitHit.USER_CONNECTIONS: stats.refused[Refusal.USER_LIMIT],
        LimitHit.ADDRESS_CONNECTIONS: stats.refused[Refusal.ADDRESS_LIMIT],
        LimitHit.LAG: stats.closed[DisconnectReason.SLOW_CONSUMER],
        LimitHit.SILENCE: stats.closed[DisconnectReason.HEARTBEAT_TIMEOUT],
        LimitHit.ACKS: stats.closed[DisconnectReason.ACK_TIMEOUT],
        LimitHit.LIFE: stats.closed[DisconnectReason.LIFETIME],
        LimitHit.PUBLISH_BYTES: stats.rejected[Rejection.TOO_LARGE],
        LimitHit.INTAKE: stats.rejected[Rejection.QUEUE_FULL],
    }
