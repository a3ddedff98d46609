"""The pause before a client tries again. It grows exponentially and has full jitter, so that clients that were
disconnected together do not return together.
"""

import random

BASE_S = 0.5
CAP_S = 30.0


def pause_s(attempt: int) -> float:
    """Return a random number of seconds between 0 and BASE_S * 2**attempt, but at most CAP_S."""
    return random.uniform(0, min(CAP_S, BASE_S * 2 ** min(attempt, 10)))  # noqa: S311 - jitter, not a secret
