"""When a feed is polled again."""

import pytest

from app.core.news.feed_schedule import PollingRules, next_poll_s

# 08:20 UTC.
NOW = 1_800_001_200.0
HOUR = 3_600.0

CASES = [
    (PollingRules(60.0), 0, 60.0),
    (PollingRules(60.0), 1, 120.0),
    (PollingRules(60.0), 9, 900.0),
    (PollingRules(2_000.0), 9, 2_000.0),
    (PollingRules(60.0, asked_s=600.0), 0, 600.0),
    (PollingRules(600.0, asked_s=60.0), 0, 600.0),
    (PollingRules(60.0, skip_hours=frozenset((8, 9))), 0, 2 * HOUR - 1_200.0),
    (PollingRules(60.0, skip_hours=frozenset((9, 10))), 0, 60.0),
    (PollingRules(HOUR, skip_hours=frozenset((9,))), 0, 2 * HOUR - 1_200.0),
    (PollingRules(60.0, skip_hours=frozenset(range(24))), 0, 60.0),
]


@pytest.mark.parametrize(("rules", "failures", "seconds"), CASES)
def test_pause_follows_the_rules(rules: PollingRules, failures: int, seconds: float) -> None:
    assert next_poll_s(rules, failures, NOW, jitter=0.0) == seconds


def test_jitter_makes_pauses_longer_only() -> None:
    assert next_poll_s(PollingRules(60.0), 0, NOW, jitter=0.1) == pytest.approx(66.0)
