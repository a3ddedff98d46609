"""Counters of connections: handshakes, tokens, heartbeats, what clients send, limits they hit, how connections end."""

from collections import Counter

from app.core.protocol.close_codes import DisconnectReason
from app.telemetry import histogram
from app.telemetry.histogram import Histogram
from app.telemetry.labels import Beat, Inbound, Invalid, LimitHit, RateScope, Refusal, SlowAction, TokenCheck


class ConnectionStats:
    """Counters and histograms of connections since the start of the process. The histograms `lives` (how long
    connections were open), `handshakes` and `round_trips` are in seconds.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.closed: Counter[DisconnectReason] = Counter()
        self.lives = Histogram(histogram.LIFE_S)
        self.refused: Counter[Refusal] = Counter()
        self.token_checks: Counter[TokenCheck] = Counter()
        self.handshakes = Histogram(histogram.REQUEST_S)
        self.beats: Counter[Beat] = Counter()
        self.round_trips = Histogram(histogram.ROUND_TRIP_S)
        self.inbound: Counter[Inbound] = Counter()
        self.invalid: Counter[Invalid] = Counter()
        self.received_bytes = 0
        self.rate_limited: Counter[RateScope] = Counter()
        self.stored_limits: Counter[LimitHit] = Counter()
        self.slow: Counter[SlowAction] = Counter()

    def record_open(self) -> None:
        self.opened += 1

    def record_close(self, reason: DisconnectReason, duration_s: float) -> None:
        self.closed[reason] += 1
        self.lives.observe(duration_s)
        if reason is DisconnectReason.HEARTBEAT_TIMEOUT:
            self.beats[Beat.TIMEOUT] += 1

    def record_handshake(self, seconds: float) -> None:
        """Record the duration of a handshake that admitted a connection, from the upgrade request to the 101."""
        self.handshakes.observe(seconds)

    def record_refusal(self, refusal: Refusal) -> None:
        """Count an upgrade request or a pending connection that was refused."""
        self.refused[refusal] += 1

    def record_token_check(self, result: TokenCheck) -> None:
        self.token_checks[result] += 1

    def record_pong(self, round_trip_s: float) -> None:
        self.beats[Beat.PONG] += 1
        self.round_trips.observe(round_trip_s)

    def record_bytes(self, size: int) -> None:
        """Count bytes received from a client after the upgrade."""
        self.received_bytes += size

    def record_message(self, kind: Inbound) -> None:
        self.inbound[kind] += 1

    def record_invalid(self, reason: Invalid) -> None:
        """Count a message that was refused. With RATE_LIMITED, count a frame of any kind, such as a ping, and also a
        hit of the rate limit for messages.
        """
        self.invalid[reason] += 1
        if reason is Invalid.RATE_LIMITED:
            self.rate_limited[RateScope.MESSAGE] += 1

    def record_rate_limit(self, scope: RateScope) -> None:
        """Count a refusal by a rate limit. Refusals by the rate limit for messages are counted by `record_invalid`
        instead.
        """
        self.rate_limited[scope] += 1

    def record_stored_limit(self, limit: LimitHit) -> None:
        """Count a refusal because a user, or the server, has stored too much."""
        self.stored_limits[limit] += 1

    def record_slow(self, action: SlowAction) -> None:
        """Count what was done about a slow client."""
        self.slow[action] += 1
