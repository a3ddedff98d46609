"""What connections need over time. This file owns heartbeats, tokens and lives that end, and checkpoints that are due.

Two sweeps a second look after all of them, in parts, so that nobody's news waits for long: no connection has a timer of
its own.
"""

import random
from collections.abc import Iterable

from app.core.delivery.phases import Phase
from app.core.limits import Limits
from app.core.protocol import frames, server_messages
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.acks import Acks
from app.flows.delivery.resume import StartResolver
from app.flows.delivery.session import Session
from app.ports.clock import Clock

# Who comes just after a sweep began is looked at in the next one: after a second at most.
SWEEP_EVERY_S = 0.5
_PARTS = 5
_LIFE_SPREAD = 0.1
_BACK_WITHIN_S = 1.0


class Housekeeping:
    """Looks after every connection while the server runs."""

    def __init__(
        self, connections: ConnectionManager, resumption: StartResolver, acks: Acks, limits: Limits, clock: Clock
    ) -> None:
        self._connections = connections
        self._resumption = resumption
        self._acks = acks
        self._limits = limits
        self._clock = clock
        self._learned_at = clock.monotonic()

    def sweep(self) -> None:
        """Look after every connection now."""
        self._learn_writes()
        self._look_after(self._connections.open_sessions())

    async def run_sweeps(self) -> None:
        """Sweep for ever."""
        while True:
            self._learn_writes()
            sessions = self._connections.open_sessions()
            for part in range(_PARTS):
                await self._clock.sleep(SWEEP_EVERY_S / _PARTS)
                self._look_after(sessions[part::_PARTS])

    def _learn_writes(self) -> None:
        """Learn to whom anything was written since this was last asked: just then, which errs to be early."""
        self._connections.slots.flush_write_times(self._learned_at)
        self._learned_at = self._clock.monotonic()

    def _look_after(self, sessions: Iterable[Session]) -> None:
        """Ping the silent, drop the dead, send again what was not acknowledged, send checkpoints that are due."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        due = []
        for session in sessions:
            if session.ending is not None or self._needs_nothing(session, now):
                continue
            self._acks.redeliver(session, now)
            if session.expires_at is not None:
                self._check_token(session, session.expires_at, wall)
            if now - session.opened_at >= _life_s(session, self._limits):
                self._end_old(session)
                continue
            if self._has_untaken(session):
                # Nothing that is written now would be heard in time; `catch_up` knows how long that may last.
                continue
            self._check_heartbeat(session, now)
            is_quiet = now - session.last_written_at >= self._limits.keep_alive_s
            stands_at = self._connections.decided_seq(session)
            is_behind = stands_at - session.checkpoint_seq >= self._limits.checkpoint_items
            if is_quiet or is_behind:
                due.append(session)
        self._connections.checkpoint(due)

    def _needs_nothing(self, session: Session, now: float) -> bool:
        """Say whether there is nothing to be done, as there nearly always is: everybody is asked twice a second."""
        limits = self._limits
        return (
            now - session.last_written_at < limits.keep_alive_s
            and now - session.last_received_at < limits.heartbeat_s
            and self._connections.position - session.checkpoint_seq < limits.checkpoint_items
            and now - session.opened_at < limits.connection_life_s * (1 - _LIFE_SPREAD)
            and session.probed_at <= session.last_received_at
            and session.expires_at is None
            and session.window is None
        )

    def _check_token(self, session: Session, expires_at: float, now: float) -> None:
        """Warn whose token ends soon, once, and end whose is over; times in Unix seconds."""
        left_s = expires_at - now
        if left_s <= -self._limits.token_grace_s:
            self._connections.disconnect(session, DisconnectReason.TOKEN_EXPIRED)
        elif left_s <= self._limits.token_warning_s and session.is_v2 and not session.is_expiry_told:
            session.is_expiry_told = True
            self._connections.send(session, server_messages.TokenExpiring(expires_at))

    def _end_old(self, session: Session) -> None:
        """End a connection that has lasted long enough: its client comes back at once, perhaps to another server."""
        if session.is_v2:
            after_ms = int(random.uniform(0, _BACK_WITHIN_S) * 1000)  # noqa: S311 - jitter, not a secret
            position = self._resumption.position(self._connections.decided_seq(session))
            self._connections.send(session, server_messages.Reconnect("lifetime", after_ms, str(position)))
        self._connections.disconnect(session, DisconnectReason.LIFETIME)

    def _has_untaken(self, session: Session) -> bool:
        """Say whether a client that is not live has yet to take what waits for it."""
        return session.phase is not Phase.LIVE and session.link is not None and session.link.buffered_bytes() > 0

    def _check_heartbeat(self, session: Session, now: float) -> None:
        silent_s = now - session.last_received_at
        is_doubted = session.probed_at > session.last_received_at and now - session.probed_at > self._limits.doubt_s
        if is_doubted or silent_s > self._limits.heartbeat_s + self._limits.heartbeat_grace_s:
            self._connections.disconnect(session, DisconnectReason.HEARTBEAT_TIMEOUT)
        elif (
            silent_s >= self._limits.heartbeat_s
            and session.pinged_at <= session.last_received_at
            and session.link is not None
        ):
            session.link.write(frames.ping_frame(b""))
            session.pinged_at = now


def _life_s(session: Session, limits: Limits) -> float:
    """Give how long a connection may last: each its own time, without a place for it."""
    return limits.connection_life_s * (1 - _LIFE_SPREAD * (hash(session.id) % 1_000) / 1_000)
