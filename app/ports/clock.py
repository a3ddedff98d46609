"""The port to the time."""

from typing import Protocol


class Clock(Protocol):
    """The time, and nobody else may ask for it."""

    def monotonic(self) -> float:
        """Give seconds that never jump."""

    def wall(self) -> float:
        """Give Unix seconds."""

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
