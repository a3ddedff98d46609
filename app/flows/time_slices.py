"""Share the event loop between the tasks that read stored items back, so that they hardly delay live delivery.

In one iteration of the event loop, these tasks together compute for at most `slice_s` seconds, whatever the number of
clients that resume, preview a filter or query the history. Then all other tasks of the server run, and the reading
tasks continue in the order in which they began to wait.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count

from app.ports.clock import Clock

# How many waiting tasks continue in one iteration. Usually each needs only a part of the slice.
_MAX_WOKEN = 16


class TimeSlices:
    """Decides when each of the tasks that read stored items back may compute."""

    def __init__(self, slice_s: float, clock: Clock) -> None:
        self._slice_s = slice_s
        self._clock = clock
        self._spent_s = 0.0
        self._is_renewing = False
        self._tickets = count()
        # A heap of the waiting tasks' tickets and futures: the task with the lowest ticket continues first.
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def share(self) -> AsyncIterator["TimeSlice"]:
        """Wait until the calling task may compute, and let it do so inside the `async with` block. There it must wait
        for nothing but `TimeSlice.renew_if_over`.
        """
        await self.wait_for_turn()
        time_slice = TimeSlice(self, self._clock)
        try:
            yield time_slice
        finally:
            time_slice.charge()

    async def wait_for_turn(self) -> None:
        """Wait until this iteration's slice is not spent. Return at once if it is not, and no task waits."""
        if not self._waiting and not self.is_spent:
            return
        ticket = next(self._tickets)
        while True:
            turn = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (ticket, turn))
            self._renew_soon()
            await turn
            # Tasks that were woken before this one may have spent the slice.
            if not self.is_spent:
                return

    @property
    def is_spent(self) -> bool:
        return self._spent_s >= self._slice_s

    def charge(self, seconds: float) -> None:
        """Count time that a task has computed toward this iteration's slice."""
        self._spent_s += seconds
        self._renew_soon()

    def _renew_soon(self) -> None:
        if not self._is_renewing:
            self._is_renewing = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        self._is_renewing = False
        self._spent_s = 0.0
        for _ in range(min(_MAX_WOKEN, len(self._waiting))):
            _, turn = heappop(self._waiting)
            # A future is done if its task was cancelled.
            if not turn.done():
                turn.set_result(None)
        if self._waiting:
            self._renew_soon()


class TimeSlice:
    """The permission of one task to compute."""

    def __init__(self, slices: TimeSlices, clock: Clock) -> None:
        self._slices = slices
        self._clock = clock
        self._began = clock.monotonic()

    def charge(self) -> None:
        """Count the time that the task has computed since the last call."""
        now = self._clock.monotonic()
        self._slices.charge(now - self._began)
        self._began = now

    async def renew_if_over(self) -> None:
        """If this iteration's slice is spent, let other tasks run and wait for the next turn. A task calls this after
        each item.
        """
        self.charge()
        if self._slices.is_spent:
            try:
                await self._slices.wait_for_turn()
            finally:
                self._began = self._clock.monotonic()
