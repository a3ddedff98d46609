"""Token buckets, which limit how often something may happen. Times are in seconds of a monotonic clock."""

import msgspec


class TokenBucket(msgspec.Struct, gc=False):
    """A bucket of tokens that refills at a steady rate, up to a maximum that is called the burst.

    `tokens` is the number of tokens at the time `updated_at`; a negative number is a debt. The caller passes the rate
    and the burst. The class is a Struct to save memory, because thousands of connections have a bucket.
    """

    tokens: float
    updated_at: float

    def take(self, now: float, rate_per_s: float, burst: float) -> float:
        """Take one token and return the number of tokens that remain.

        A negative number means that the caller is too fast and owes that many tokens. The debt never grows beyond
        `burst`.
        """
        refilled = min(burst, self.tokens + (now - self.updated_at) * rate_per_s)
        self.updated_at = now
        self.tokens = max(refilled - 1.0, -burst)
        return self.tokens

    def refund(self) -> None:
        """Put back the token that the last `take` took, for a caller whose refused attempts should not count."""
        self.tokens += 1.0


class KeyedRateLimiter:
    """One token bucket for each key. If there are more than `max_keys` keys, the least recently used one is forgotten:
    at its next use it has a full bucket.
    """

    def __init__(self, rate_per_s: float, burst: float, max_keys: int = 10_000) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: dict[str, TokenBucket] = {}

    def acquire(self, key: str, now: float) -> float:
        """Take one token from the bucket of a key and return 0. If the bucket has no token, take nothing and return the
        number of seconds until it has one.
        """
        bucket = self._buckets.pop(key, None) or TokenBucket(self._burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._max_keys:
            del self._buckets[next(iter(self._buckets))]
        left = bucket.take(now, self._rate_per_s, self._burst)
        if left >= 0:
            return 0.0
        # A refused attempt takes no token, so that attempts during the wait do not prolong it.
        bucket.refund()
        return -left / self._rate_per_s
