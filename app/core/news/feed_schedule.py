"""When a feed is polled again: its interval, what it asks for, and longer pauses after failures."""

from datetime import UTC, datetime
from typing import NamedTuple

JITTER = 0.1
"""By which share a pause may be longer at random, so that feeds are not polled all at once."""

_MAX_BACKOFF_S = 900.0


class PollingRules(NamedTuple):
    """What decides about the next poll of a feed: the seconds between two polls that the operator set, the seconds for
    which the feed asks not to be polled, and the hours (0 to 23, UTC) in which it is not to be polled.
    """

    every_s: float
    asked_s: float = 0.0
    skip_hours: frozenset[int] = frozenset()


def next_poll_s(rules: PollingRules, failures: int, now: float, jitter: float) -> float:
    """Return the seconds until a feed's next poll. `failures` counts those in a row, `now` is in Unix seconds, and
    `jitter` is a random number from 0 to JITTER.

    Without failures the pause is the feed's interval, or what the feed asks for if that is longer. Each failure in a
    row doubles it, up to _MAX_BACKOFF_S. Failures do not change an interval that is longer than that.
    """
    every_s = max(rules.every_s, rules.asked_s)
    backoff_s: float = min(every_s * 2 ** min(failures, 10), max(_MAX_BACKOFF_S, every_s))
    pause_s = backoff_s * (1 + jitter)
    return pause_s + _skipped_s(rules.skip_hours, now + pause_s)


def _skipped_s(hours: frozenset[int], at: float) -> float:
    """Return the seconds from a time until the first hour that is not skipped."""
    moment = datetime.fromtimestamp(at, UTC)
    skipped = next((count for count in range(24) if (moment.hour + count) % 24 not in hours), 0)
    return skipped * 3_600.0 - (moment.minute * 60 + moment.second if skipped else 0)
