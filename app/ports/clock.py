"""The port to time. Nothing else asks the system what time it is."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks and a way to wait."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""

    def wall(self) -> float:
        """Return Unix seconds."""

    async def sleep(self, delay_s: float) -> None:
        """Wait for a number of seconds."""
