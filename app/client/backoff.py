"""When to try again. This file owns the pauses of our clients: full jitter, so that those dropped together part."""

import random

BASE_S = 0.5
CAP_S = 30.0


def pause_s(attempt: int) -> float:
    """Give the pause before the next try; `attempt` counts failures from 0."""
    return random.uniform(0, min(CAP_S, BASE_S * 2 ** min(attempt, 10)))  # noqa: S311 - jitter, not a secret
