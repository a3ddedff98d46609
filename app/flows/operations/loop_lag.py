"""How late the event loop runs: a timer measures how late it is woken."""

from app.ports.clock import Clock
from app.telemetry.stats import Stats

INTERVAL_S = 0.1


async def watch_loop_lag(clock: Clock, stats: Stats) -> None:
    """Sleep a tenth of a second and count how much longer it took, until cancelled."""
    while True:
        due = clock.monotonic() + INTERVAL_S
        await clock.sleep(INTERVAL_S)
        stats.server.record_loop_lag(max(clock.monotonic() - due, 0.0))
