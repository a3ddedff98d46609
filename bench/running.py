"""How a measurement is run: the event loop, the descriptors and the core."""

import asyncio
import os
import resource
from collections.abc import Coroutine

import uvloop


def run(measuring: Coroutine[None, None, None], core: int | None = None) -> int:
    """Run a measurement to its end, on one core if requested; return the exit code."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if core is not None:
        os.sched_setaffinity(0, {core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measuring)
    return 0
