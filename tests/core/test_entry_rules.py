"""Which entries are news, by their age and by what was seen."""

import pytest

from app.core.news.dates import FeedDate
from app.core.news.entry_rules import AgeRules, Published, judge_age, known_as, published_of
from app.core.news.feed_entry import EntryOutcome, FeedEntry
from app.core.news.identity import Seen, identify

NOW = 1_000_000.0
RULES = AgeRules(max_age_s=86_400.0, first_look_age_s=3_600.0)
ALL = AgeRules(0.0, 0.0)
HOUR = 3_600.0


def entry(age_s: float | None = 0.0, *, is_certain: bool = True) -> FeedEntry:
    date = None if age_s is None else FeedDate(NOW - age_s, is_certain)
    return FeedEntry("g", "https://e.com/1", "Rates rise", "x", date)


CASES = [
    (HOUR, RULES, True, EntryOutcome.PUBLISHED),
    (HOUR + 1, RULES, True, EntryOutcome.TOO_OLD),
    (HOUR + 1, RULES, False, EntryOutcome.PUBLISHED),
    (24 * HOUR, RULES, False, EntryOutcome.PUBLISHED),
    (24 * HOUR + 1, RULES, False, EntryOutcome.TOO_OLD),
    (None, RULES, True, EntryOutcome.UNDATED),
    (None, RULES, False, EntryOutcome.PUBLISHED),
    (-601.0, RULES, True, EntryOutcome.UNDATED),
    (-600.0, RULES, True, EntryOutcome.PUBLISHED),
    (10 * 365 * 24 * HOUR / 1000, ALL, True, EntryOutcome.PUBLISHED),
    (None, ALL, True, EntryOutcome.PUBLISHED),
    (2 * HOUR, AgeRules(0.0, HOUR), False, EntryOutcome.PUBLISHED),
    (2 * HOUR, AgeRules(HOUR, 0.0), True, EntryOutcome.TOO_OLD),
]


@pytest.mark.parametrize(("age_s", "rules", "is_first_look", "outcome"), CASES)
def test_old_news_is_not_published(
    age_s: float | None, rules: AgeRules, is_first_look: bool, outcome: EntryOutcome
) -> None:
    assert judge_age(entry(age_s), rules, NOW, is_first_look=is_first_look) is outcome


@pytest.mark.parametrize(
    ("one", "published"),
    [
        (entry(5.0), Published(NOW - 5.0, is_estimated=False)),
        (entry(5.0, is_certain=False), Published(NOW - 5.0, is_estimated=True)),
        (entry(-600.0), Published(NOW + 600.0, is_estimated=False)),
        (entry(-601.0), Published(NOW, is_estimated=True)),
        (entry(None), Published(NOW, is_estimated=True)),
        (entry(NOW - 3_600.0), Published(NOW, is_estimated=True)),
    ],
)
def test_impossible_dates_are_estimated(one: FeedEntry, published: Published) -> None:
    assert published_of(one, NOW) == published


def test_known_entry_is_repeated_or_updated() -> None:
    [identity] = identify([entry()], "f")
    seen = dict.fromkeys(identity.keys, Seen(identity.version, NOW))

    assert known_as(identity, {}) is None
    assert known_as(identity, seen) is EntryOutcome.REPEATED
    assert known_as(identity._replace(version=b"other"), seen) is EntryOutcome.UPDATED
