"""The server, with a broadcaster that stops at SIGUSR1: the one fault that cannot be caused from outside."""

import asyncio
import signal
import sys

from app.__main__ import main
from app.flows.delivery.broadcast import WebSocketBroadcaster

_run = WebSocketBroadcaster.run


async def _run_until_told(broadcaster: WebSocketBroadcaster) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
    turning = asyncio.create_task(_run(broadcaster))
    await told.wait()
    turning.cancel()
    await asyncio.Event().wait()


if __name__ == "__main__":
    WebSocketBroadcaster.run = _run_until_told  # type: ignore[method-assign, assignment]
    sys.exit(main())
