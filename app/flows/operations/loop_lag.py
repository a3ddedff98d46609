"""Whether the event loop turns. This file owns the timer that finds out how late it is woken."""

from app.ports.clock import Clock
from app.telemetry.stats import Stats

EVERY_S = 0.1


async def watch_loop_lag(clock: Clock, stats: Stats) -> None:
    """Sleep a tenth of a second over and over, and count how much longer it took, for ever."""
    while True:
        due = clock.monotonic() + EVERY_S
        await clock.sleep(EVERY_S)
        stats.loop_lag.observe(max(clock.monotonic() - due, 0.0))
