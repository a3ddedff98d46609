"""Token buckets. They meter how often something may happen; times are seconds of a monotonic clock."""

import msgspec


class TokenBucket(msgspec.Struct, gc=False):
    """A rate with a burst: the tokens left at a time. A Struct, because thousands of connections have one."""

    tokens: float
    updated_at: float

    def take(self, now: float, rate_per_s: float, burst: float) -> float:
        """Take one token and return how many are left.

        A negative number means too fast; it is the debt, which never grows beyond `burst`.
        """
        refilled = min(burst, self.tokens + (now - self.updated_at) * rate_per_s)
        self.updated_at = now
        self.tokens = max(refilled - 1.0, -burst)
        return self.tokens

    def refund(self) -> None:
        """Return a token that bought nothing."""
        self.tokens += 1.0


class KeyedRateLimiter:
    """One token bucket for each key. The least recently used keys are forgotten first."""

    def __init__(self, rate_per_s: float, burst: float, max_keys: int = 10_000) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: dict[str, TokenBucket] = {}

    def acquire(self, key: str, now: float) -> float:
        """Take one token of a key; return 0, or the seconds to wait when there is none."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._max_keys:
            del self._buckets[next(iter(self._buckets))]
        left = bucket.take(now, self._rate_per_s, self._burst)
        if left >= 0:
            return 0.0
        # A refused attempt leaves no debt: after the wait there is a token.
        bucket.refund()
        return -left / self._rate_per_s
