"""A clock that tests move."""

import asyncio


class FakeClock:
    """Time stands still until a test moves it; a sleep ends when time has moved far enough."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self._moved = asyncio.Event()

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now

    async def sleep(self, delay_s: float) -> None:
        until = self._now + delay_s
        while self._now < until:
            self._moved.clear()
            await self._moved.wait()

    def move(self, seconds: float) -> None:
        self._now += seconds
        self._moved.set()
