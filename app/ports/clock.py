"""The port for time. Flows read the time only through this port, so that tests can set the time."""

from typing import Protocol


class Clock(Protocol):
    """A monotonic clock, a wall clock, and a way to wait."""

    def monotonic(self) -> float:
        """Return the time in seconds of a clock that never jumps. Only the difference between two such times has a
        meaning.
        """

    def wall(self) -> float:
        """Return the time in Unix seconds; it jumps when the system's clock is set."""

    async def sleep(self, delay_s: float) -> None:
        """Wait for a number of seconds."""
