"""Pauses before a client tries again: exponential with full jitter, so that clients that were dropped together spread
out.
"""

import random

BASE_S = 0.5
CAP_S = 30.0


def pause_s(attempt: int) -> float:
    """Return the seconds to wait before the next try; `attempt` counts failures from 0."""
    return random.uniform(0, min(CAP_S, BASE_S * 2 ** min(attempt, 10)))  # noqa: S311 - jitter, not a secret
