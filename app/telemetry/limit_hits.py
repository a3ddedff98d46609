"""How often each limit was hit, computed from counters of other metrics."""

from collections.abc import Mapping

from app.core.protocol.close_codes import DisconnectReason
from app.telemetry.labels import Invalid, LimitHit, RateScope, Refusal, Rejection
from app.telemetry.stats import Stats


def limit_hits(stats: Stats) -> Mapping[LimitHit, int]:
    """Return how often each limit refused a request or closed a connection since the start."""
    return {
        LimitHit.MESSAGE_BYTES: stats.connections.invalid[Invalid.TOO_BIG],
        LimitHit.MESSAGE_RATE: stats.connections.rate_limited[RateScope.MESSAGE],
        LimitHit.BAD_MESSAGES: stats.connections.closed[DisconnectReason.TOO_MANY_BAD_MESSAGES],
        LimitHit.FILTER_CHANGES: stats.connections.rate_limited[RateScope.FILTER],
        LimitHit.REPLAY_RATE: stats.connections.rate_limited[RateScope.REPLAY],
        LimitHit.SLOW_REQUEST: stats.server.slow_requests,
        LimitHit.SLOW_READER: stats.server.slow_readers,
        LimitHit.READ_RATE: stats.connections.rate_limited[RateScope.READ],
        LimitHit.PUBLISH_RATE: stats.connections.rate_limited[RateScope.PUBLISH],
        LimitHit.ANSWERS: stats.server.too_many_answers,
        LimitHit.BODY_BYTES: stats.server.too_many_bodies,
        LimitHit.HTTP_CONNECTIONS: stats.server.refused_connections,
        LimitHit.CONNECT_RATE: stats.connections.rate_limited[RateScope.CONNECT],
        LimitHit.SERVER_CONNECT_RATE: stats.connections.rate_limited[RateScope.SERVER_CONNECT],
        LimitHit.CONNECTIONS: stats.connections.refused[Refusal.CAPACITY],
        LimitHit.USER_CONNECTIONS: stats.connections.refused[Refusal.USER_LIMIT],
        LimitHit.ADDRESS_CONNECTIONS: stats.connections.refused[Refusal.ADDRESS_LIMIT],
        LimitHit.LAG: stats.connections.closed[DisconnectReason.SLOW_CONSUMER],
        LimitHit.SILENCE: stats.connections.closed[DisconnectReason.HEARTBEAT_TIMEOUT],
        LimitHit.ACKS: stats.connections.closed[DisconnectReason.ACK_TIMEOUT],
        LimitHit.LIFE: stats.connections.closed[DisconnectReason.LIFETIME],
        LimitHit.STORED_CHANNELS: stats.connections.stored_limits[LimitHit.STORED_CHANNELS],
        LimitHit.USERS: stats.connections.stored_limits[LimitHit.USERS],
        LimitHit.DEVICES: stats.connections.stored_limits[LimitHit.DEVICES],
        LimitHit.PUBLISH_BYTES: stats.intake.rejected[Rejection.TOO_LARGE],
        LimitHit.INTAKE: stats.intake.rejected[Rejection.QUEUE_FULL],
    }
