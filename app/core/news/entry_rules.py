"""Decide what becomes of the entries of a feed, and when they were published.

Old news must not go out as new. So what a feed shows at the first look is published only if it is recent, and an entry
without a date is not, because it may be of any age.
"""

from collections.abc import Mapping
from typing import NamedTuple

from app.core.news.feed_entry import EntryOutcome, FeedEntry
from app.core.news.identity import EntryIdentity, Key, Seen

# A date may be this far ahead of the server's clock. A later one is wrong.
_MAX_AHEAD_S = 600.0
# The zero of some programs, in any time zone, is no date of news.
_EARLIEST_S = 86_400.0


class AgeRules(NamedTuple):
    """How old an entry may be, in seconds, to be published: always, and when its feed is looked at for the first time.
    0 allows every age; at the first look also entries without a date.
    """

    max_age_s: float
    first_look_age_s: float


class Published(NamedTuple):
    """When an entry was published (Unix seconds). `is_estimated` is whether the entry does not say so for certain."""

    at: float
    is_estimated: bool


def published_of(entry: FeedEntry, now: float) -> Published:
    """Return when an entry was published. Without a date, or with an impossible one, it is `now`."""
    date = entry.date
    if date is None or not _EARLIEST_S <= date.seconds <= now + _MAX_AHEAD_S:
        return Published(now, is_estimated=True)
    return Published(date.seconds, is_estimated=not date.is_certain)


def known_as(identity: EntryIdentity, known: Mapping[Key, Seen]) -> EntryOutcome | None:
    """Return REPEATED or UPDATED for an entry that is known, and None for a new one. `known` has what was seen, by
    key.
    """
    versions = [known[key].version for key in identity.deciding if key in known]
    if not versions:
        return None
    return EntryOutcome.REPEATED if identity.version in versions else EntryOutcome.UPDATED


def judge_age(entry: FeedEntry, rules: AgeRules, now: float, *, is_first_look: bool) -> EntryOutcome:
    """Return what becomes of an entry that is not known: PUBLISHED, TOO_OLD or UNDATED."""
    published = published_of(entry, now)
    guards_start = is_first_look and rules.first_look_age_s > 0
    if published.is_estimated and published.at == now:
        return EntryOutcome.UNDATED if guards_start else EntryOutcome.PUBLISHED
    age_s = now - published.at
    is_too_old = (0 < rules.max_age_s < age_s) or (guards_start and age_s > rules.first_look_age_s)
    return EntryOutcome.TOO_OLD if is_too_old else EntryOutcome.PUBLISHED
