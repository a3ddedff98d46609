"""Periodic checks of all connections: heartbeats, token expiry, maximum age, redelivery, and checkpoints that are due.

All connections are checked by a sweep, twice a second, so that no connection needs a timer of its own. A sweep checks
the connections in five parts and pauses before each part, so that it does not delay items for long.

A client is judged only by pings that it had time to answer. If the server itself stood still, for example because its
virtual machine was suspended, no client could be heard, and the time starts again.
"""

import random
from collections.abc import Iterable

import msgspec
import structlog

from app.core.delivery.phases import Phase
from app.core.limits import ConnectionLimits, Limits
from app.core.protocol import frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.acks import Acks
from app.flows.delivery.live_delivery import LiveDelivery
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session, buffered_bytes
from app.ports.clock import Clock

# A sweep is spread over this many seconds, and the next one follows at once. A connection that opens during a sweep is
# first checked in the next one, within two intervals.
SWEEP_INTERVAL_S = 0.5
_PARTS = 5
_AGE_SPREAD = 0.1
_RECONNECT_WITHIN_S = 1.0
# If a pause of the sweep took this much longer than intended, the server stood still.
_STANDSTILL_S = 1.0


_log = structlog.get_logger("keepalive")


class Housekeeping:
    """Checks every open connection twice a second while the server runs."""

    def __init__(
        self,
        manager: ConnectionManager,
        delivery: LiveDelivery,
        resolver: StartResolver,
        acks: Acks,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._manager = manager
        self._delivery = delivery
        self._live = delivery.live
        self._resolver = resolver
        self._acks = acks
        self._limits = limits
        self._clock = clock
        self._writes_flushed_at = clock.monotonic()
        # When the server last ran again after it had stood still.
        self._resumed_at = float("-inf")

    def sweep(self) -> None:
        """Check every open connection now, without pauses."""
        self._flush_write_times()
        self._look_at(self._manager.open_sessions())

    async def run_sweeps(self) -> None:
        """Sweep over all open connections, one part at a time, until cancelled."""
        while True:
            self._flush_write_times()
            sessions = self._manager.open_sessions()
            for part in range(_PARTS):
                await self._pause()
                self._look_at(sessions[part::_PARTS])

    async def _pause(self) -> None:
        """Wait until the next part of a sweep is due, and notice whether the server stood still meanwhile."""
        pause_s, began = SWEEP_INTERVAL_S / _PARTS, self._clock.monotonic()
        await self._clock.sleep(pause_s)
        now = self._clock.monotonic()
        if now - began - pause_s > _STANDSTILL_S:
            _log.warning("server_stood_still", seconds=round(now - began - pause_s, 1))
            self._resumed_at = now

    def _flush_write_times(self) -> None:
        """Update the last write time of each session that was sent shared frames since the previous flush. `Slots`
        records which sessions these are, but not when they were written to. So the time of the previous flush is used,
        and a checkpoint may be sent early, but never late.
        """
        self._live.slots.flush_write_times(self._writes_flushed_at)
        self._writes_flushed_at = self._clock.monotonic()

    def _look_at(self, sessions: Iterable[Session]) -> None:
        """Check each of these sessions, and send the checkpoints that are due."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        due: list[Session] = []
        for session in sessions:
            if session.disconnect_reason is None and not self._needs_nothing(session, now):
                self._delivery.change(session, lambda one: self._check(one, now, wall, due))
        self._delivery.checkpoint(due)

    def _check(self, session: Session, now: float, wall: float, due: list[Session]) -> None:
        """Check one session, and append it to `due` if it must be sent a checkpoint."""
        self._acks.redeliver(session, now)
        self._check_token(session, wall)
        if now - session.opened_at >= _max_age_s(session, self._limits.connections):
            self._end_old(session)
            return
        if session.phase is not Phase.LIVE and buffered_bytes(session) > 0:
            # A ping or checkpoint would wait behind the bytes that the client has yet to take, so a late answer would
            # prove nothing. `CatchUp` disconnects a client that takes no bytes for too long.
            return
        self._check_heartbeat(session, now)
        delivery = self._limits.delivery
        is_quiet = now - session.last_written_at >= delivery.checkpoint_interval_s
        new_items = self._live.decided_seq(session) - session.checkpoint_seq
        if is_quiet or new_items >= delivery.checkpoint_interval_items:
            due.append(session)

    def _needs_nothing(self, session: Session, now: float) -> bool:
        """Return whether all checks can be skipped for a session. This is so for most sessions, and saves time because
        every session is checked twice a second.
        """
        delivery = self._limits.delivery
        return (
            now - session.last_written_at < delivery.checkpoint_interval_s
            and now - session.last_received_at < self._limits.heartbeats.interval_s
            and self._live.position - session.checkpoint_seq < delivery.checkpoint_interval_items
            and now - session.opened_at < self._limits.connections.max_age_s * (1 - _AGE_SPREAD)
            and session.probed_at <= session.last_received_at
            and session.token.expires_at is None
            and session.window is None
        )

    def _check_token(self, session: Session, now: float) -> None:
        """Warn a v2 client once, `expiry_warning_s` before its token expires. Disconnect any client `expiry_grace_s`
        after its token expired. `now` is in Unix seconds.
        """
        token, limits = session.token, self._limits.auth
        if token.expires_at is None:
            return
        left_s = token.expires_at - now
        if left_s <= -limits.expiry_grace_s:
            self._live.disconnect(session, DisconnectReason.TOKEN_EXPIRED)
        elif left_s <= limits.expiry_warning_s and session.options.is_v2 and not token.is_expiry_announced:
            session.use_token(msgspec.structs.replace(token, is_expiry_announced=True))
            self._live.send(session, server_messages.TokenExpiring(token.expires_at))

    def _end_old(self, session: Session) -> None:
        """Disconnect a client whose connection has reached its maximum age. A v2 client is first sent a `reconnect`
        message: it asks the client to reconnect, perhaps to another server, after a random delay of up to a second, and
        contains the position to resume at.
        """
        if session.options.is_v2:
            after_ms = int(random.uniform(0, _RECONNECT_WITHIN_S) * 1000)  # noqa: S311 - jitter, not a secret
            position = self._resolver.position(self._live.decided_seq(session))
            self._live.send(session, server_messages.Reconnect("lifetime", after_ms, str(position)))
        self._live.disconnect(session, DisconnectReason.LIFETIME)

    def _check_heartbeat(self, session: Session, now: float) -> None:
        limits, heard_at = self._limits.heartbeats, session.last_received_at
        is_pinged, is_probed = session.pinged_at > heard_at, session.probed_at > heard_at
        is_ping_late = is_pinged and now - max(session.pinged_at, self._resumed_at) >= limits.timeout_s
        probed_at = max(session.probed_at, self._resumed_at)
        is_probe_late = is_probed and now - probed_at > limits.liveness_probe_timeout_s
        if is_probe_late or is_ping_late:
            self._live.disconnect(session, DisconnectReason.HEARTBEAT_TIMEOUT)
        elif not is_pinged and now - heard_at >= limits.interval_s and session.link is not None:
            session.link.write(frames.ping_frame(b""))
            session.pinged(now)


def _max_age_s(session: Session, limits: ConnectionLimits) -> float:
    """Return the maximum age of a session's connection in seconds: `max_age_s`, reduced by up to a tenth. The reduction
    is computed from the session id, so that it need not be stored.
    """
    return limits.max_age_s * (1 - _AGE_SPREAD * (hash(session.id) % 1_000) / 1_000)
