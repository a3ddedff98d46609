"""What connections need over time. This file owns heartbeats, checkpoints that are due, and the drain.

One sweep a second looks after all of them: no connection has a timer of its own.
"""

import asyncio

from app.core import wire
from app.core.closing import Ending
from app.core.limits import Limits
from app.flows.connections import ConnectionManager
from app.flows.session import Session
from app.ports import Clock

SWEEP_EVERY_S = 1.0
_CLOSES_PER_S = 1_000
_CLOSES_AT_ONCE = 50


class Upkeep:
    """Looks after every connection while the server runs, and sends all of them home when it stops."""

    def __init__(self, connections: ConnectionManager, limits: Limits, clock: Clock) -> None:
        self._connections = connections
        self._limits = limits
        self._clock = clock

    def sweep(self) -> None:
        """Look after every connection: ping the silent, drop the dead, send checkpoints that are due."""
        now = self._clock.monotonic()
        due = []
        for session in self._connections.open_sessions():
            self._check_heartbeat(session, now)
            is_quiet = now - session.written_at >= self._limits.keep_alive_s
            is_behind = self._connections.position - session.checkpoint_seq >= self._limits.checkpoint_items
            if is_quiet or is_behind:
                due.append(session)
        self._connections.checkpoint(due)

    async def run_sweeps(self) -> None:
        """Sweep for ever."""
        while True:
            await self._clock.sleep(SWEEP_EVERY_S)
            self.sweep()

    async def drain(self, longest_s: float) -> None:
        """End every connection with 1012, spread so that the clients do not come back all at once."""
        self._connections.is_draining = True
        sessions = self._connections.everyone()
        pause_s = min(longest_s / max(len(sessions), 1), 1 / _CLOSES_PER_S) * _CLOSES_AT_ONCE
        for number, session in enumerate(sessions, start=1):
            self._connections.cut(session, Ending.SHUTDOWN)
            if number % _CLOSES_AT_ONCE == 0:
                await self._clock.sleep(pause_s)

    async def wait_until_empty(self, longest_s: float) -> None:
        """Wait until the last connection is gone; abort who is still there after a while."""
        until = self._clock.monotonic() + longest_s
        while self._connections.everyone() and self._clock.monotonic() < until:
            await self._clock.sleep(0.02)
        for session in self._connections.everyone():
            if session.link is not None:
                session.link.abort()
        await asyncio.sleep(0)

    def _check_heartbeat(self, session: Session, now: float) -> None:
        silent_s = now - session.heard_at
        is_doubted = session.doubted_at > session.heard_at and now - session.doubted_at > self._limits.doubt_s
        if is_doubted or silent_s > self._limits.heartbeat_s + self._limits.heartbeat_grace_s:
            self._connections.cut(session, Ending.HEARTBEAT_TIMEOUT)
        elif (
            silent_s >= self._limits.heartbeat_s and session.pinged_at <= session.heard_at and session.link is not None
        ):
            session.link.write(wire.ping_frame(b""))
            session.pinged_at = now
