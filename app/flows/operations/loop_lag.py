"""Measure the lag of the event loop: how late it wakes a 100 ms timer."""

from app.ports.clock import Clock
from app.telemetry.stats import Stats

INTERVAL_S = 0.1


async def watch_loop_lag(clock: Clock, stats: Stats) -> None:
    """Repeatedly sleep 0.1 s and record how many seconds too late the sleep ended, until cancelled."""
    while True:
        due = clock.monotonic() + INTERVAL_S
        await clock.sleep(INTERVAL_S)
        stats.server.record_loop_lag(max(clock.monotonic() - due, 0.0))
