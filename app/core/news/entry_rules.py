"""Decide what becomes of the entries of a feed, and when they were published.

Old news must not go out as new. So what a feed shows at the first look is published only if it is recent, and an entry
without a date is not, because it may be of any age.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.core.news.dates import FeedDate
from app.core.news.feed_entry import EntryOutcome, FeedEntry
from app.core.news.identity import EntryIdentity, Key, Seen

# A date may be this far ahead of the server's clock. A later one is wrong.
_MAX_AHEAD_S = 600.0
# The zero of some programs, in any time zone, is no date of news.
_EARLIEST_S = 86_400.0
# It is stored once in this time that an entry is still seen.
_REFRESHED_S = 86_400.0
_CHANGES_UNTIL_DISTRUSTED = 2


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


def possible_date(entry: FeedEntry, now: float) -> FeedDate | None:
    """Return the date of an entry, or None if it has none, or one that is impossible."""
    date = entry.date
    return date if date is not None and _EARLIEST_S <= date.seconds <= now + _MAX_AHEAD_S else None


def published_of(entry: FeedEntry, now: float) -> Published:
    """Return when an entry was published. Without a possible date it is `now`."""
    date = possible_date(entry, now)
    return Published(now, is_estimated=True) if date is None else Published(date.seconds, not date.is_certain)


def known_as(identity: EntryIdentity, known: Mapping[Key, Seen]) -> EntryOutcome | None:
    """Return REPEATED or UPDATED for an entry that is known, and None for a new one. `known` has what was seen, by
    key.
    """
    versions = [known[key].version for key in identity.deciding if key in known]
    if not versions:
        return None
    return EntryOutcome.REPEATED if identity.version in versions else EntryOutcome.UPDATED


def is_forgotten_soon(identity: EntryIdentity, known: Mapping[Key, Seen], now: float) -> bool:
    """Return whether it is time to store that a known entry is still seen."""
    return any(now - known[key].at > _REFRESHED_S for key in identity.deciding if key in known)


def is_item_of(entry: FeedEntry, accepted_at: float) -> bool:
    """Return whether an item with the same link, which was accepted at `accepted_at` (Unix seconds), is the entry. It
    is another story if the entry was published later.
    """
    return entry.date is None or entry.date.seconds <= accepted_at


def trusts_guids(changes: int) -> bool:
    """Return whether the guids of a feed decide, if they have changed in this many fetches in a row."""
    return changes < _CHANGES_UNTIL_DISTRUSTED


def count_guid_changes(changes: int, identities: Iterable[EntryIdentity], known: Mapping[Key, Seen]) -> int:
    """Return in how many fetches in a row the guids of a feed have changed, after one more fetch. They have changed if
    entries with a guid are known, but none by its guid.
    """
    by_guid = [one.guid_key in known for one in identities if one.guid_key is not None and known_as(one, known)]
    if not by_guid or not trusts_guids(changes):
        return changes
    return 0 if any(by_guid) else changes + 1


def judge_age(entry: FeedEntry, rules: AgeRules, now: float, *, is_first_look: bool) -> EntryOutcome:
    """Return what becomes of an entry that is not known: PUBLISHED, TOO_OLD or UNDATED."""
    date = possible_date(entry, now)
    guards_start = is_first_look and rules.first_look_age_s > 0
    if date is None:
        return EntryOutcome.UNDATED if guards_start else EntryOutcome.PUBLISHED
    age_s = now - date.seconds
    is_too_old = (0 < rules.max_age_s < age_s) or (guards_start and age_s > rules.first_look_age_s)
    return EntryOutcome.TOO_OLD if is_too_old else EntryOutcome.PUBLISHED
