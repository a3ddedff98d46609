from app.core.rate_limiter import KeyedRateLimiter, TokenBucket


def test_burst_passes_and_then_the_rate() -> None:
    bucket = TokenBucket(3, 0.0)

    left = [bucket.take(0.0, rate_per_s=10, burst=3) for _ in range(4)]

    assert left == [2, 1, 0, -1]
    assert bucket.take(0.2, rate_per_s=10, burst=3) == 0.0


def test_debt_is_bounded_and_repaid_over_time() -> None:
    bucket = TokenBucket(2, 0.0)

    least = min(bucket.take(0.0, rate_per_s=1, burst=2) for _ in range(100))

    assert least == -2
    assert bucket.take(3.0, rate_per_s=1, burst=2) == 0.0
    assert bucket.take(1_000.0, rate_per_s=1, burst=2) == 1.0


def test_keys_have_independent_rates() -> None:
    meter = KeyedRateLimiter(rate_per_s=0.1, burst=2)

    waits = [meter.acquire("a", 0.0) for _ in range(4)]

    assert waits == [0.0, 0.0, 10.0, 10.0]
    assert meter.acquire("b", 0.0) == 0.0
    assert meter.acquire("a", 10.0) == 0.0


def test_least_recently_used_key_is_evicted() -> None:
    meter = KeyedRateLimiter(rate_per_s=0.1, burst=1, max_keys=2)
    for key in ("a", "b", "a", "c"):
        meter.acquire(key, 0.0)

    assert meter.acquire("b", 0.0) == 0.0
    assert meter.acquire("c", 0.0) > 0.0
