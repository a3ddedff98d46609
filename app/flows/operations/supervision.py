"""End the server if one of its background tasks ends: without it, the others would go on as if nothing had happened."""

import asyncio
from collections.abc import Awaitable, Callable


class WorkerEnded(Exception):
    """A background task ended although the server is not stopping. The message names it."""


async def supervise(name: str, work: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> None:
    """Run a background task that should end only when the server stops (`stopping`). Raises WorkerEnded if it returns
    or is cancelled before, and the task's own exception if it fails.
    """
    try:
        await work()
    except asyncio.CancelledError:
        if stopping.is_set():
            raise
    raise WorkerEnded(name)
