"""Implement the port Clock. A lint rule bans `time.time` and `time.monotonic` elsewhere in the server, so that tests
can replace the clock.
"""

import asyncio
import time


class SystemClock:
    """Real time, in seconds."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
