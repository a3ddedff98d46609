"""Time limits that only guard against hanging: no verdict depends on how fast a machine is.

TEST_TIME_SCALE multiplies all of them, for machines that are slow or busy.
"""

import asyncio
import os
from collections.abc import Awaitable
from typing import TypeVar

Value = TypeVar("Value")

SCALE = float(os.environ.get("TEST_TIME_SCALE", "1"))
GUARD_S = 60.0


def scaled(seconds: float) -> float:
    return seconds * SCALE


def within(seconds: float = GUARD_S) -> asyncio.Timeout:
    """Limit what is awaited in a block. Raises TimeoutError."""
    return asyncio.timeout(scaled(seconds))


async def soon(awaitable: Awaitable[Value], seconds: float = GUARD_S) -> Value:
    """Await something that must happen. Raises TimeoutError."""
    return await asyncio.wait_for(awaitable, scaled(seconds))
