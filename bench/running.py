"""How a measurement is run. This file owns the loop, the descriptors and the core of who measures."""

import asyncio
import os
import resource
from collections.abc import Coroutine

import uvloop


def run(measuring: Coroutine[None, None, None], core: int | None = None) -> int:
    """Measure to the end, on one core where it is said; give the exit code."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if core is not None:
        os.sched_setaffinity(0, {core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measuring)
    return 0
