"""Complete the items that sources provide: plain text, entities, category, scores, near-duplicates.

Values that a source provides are kept, and missing ones are computed. docs/scoring.md explains the results to users.
"""

from collections.abc import Callable
from math import inf
from typing import NamedTuple

from msgspec import UNSET

from app.core.news import entities, scoring, urls
from app.core.news.entities import CategoryRule, EntityMatches, EntryKind, Vocabulary
from app.core.news.item import HIGH_SIGNAL_ABOVE, MAX_CONTENT, MAX_TITLE, NewsItem, RawNews
from app.core.news.near_duplicates import NearDuplicateIndex
from app.core.text.words import tokenize

_MAX_ACCOUNT = 256
_TITLE_FROM_CONTENT = 120
_MAX_TAGS = 50
# What stands for characters that could not be decoded.
_LOST = "\ufffd"


class Vocabularies(NamedTuple):
    """The data that enrichment uses. `vocabulary` has the terms for titles and contents, `sources` has the terms for
    the names of sources, with points for their authority, and `category_rule` says when a category is chosen.
    """

    vocabulary: Vocabulary
    sources: Vocabulary
    category_rule: CategoryRule


class EnrichedItem(NamedTuple):
    """A complete item, and the canonical form of its link as `url_key`. The log treats another item with the same
    `url_key` as a duplicate.
    """

    item: NewsItem
    url_key: str


class Origin(NamedTuple):
    """What is known about an entry of a feed, beside its raw item, whose texts are plain text already.

    `identity` is the entry's name in the log. `is_estimated` is whether its time of publication is. `tags` are the
    feed's own categories, which are kept beside those that are found. `retweeted_by` is "" unless it is a retweet.
    """

    identity: str
    is_estimated: bool = False
    tags: tuple[str, ...] = ()
    retweeted_by: str = ""


class Enricher:
    """Turns the items of sources into complete items, and remembers recent ones to find near-duplicates. `to_text`
    converts HTML to plain text.
    """

    def __init__(self, vocabularies: Vocabularies, to_text: Callable[[str], str]) -> None:
        self._vocabularies = vocabularies
        self._to_text = to_text
        self._near_duplicates = NearDuplicateIndex()

    def remember(self, item: NewsItem) -> None:
        """Add an item that is in the log already, so that near-duplicates of it are recognized."""
        title, content = tokenize(item.title), tokenize(item.content)
        self._near_duplicates.find_or_add(item.id, title, content, item.published_at)

    def forget(self, item_id: str) -> None:
        """Remove an item that was not stored. Otherwise a later item could be marked as the duplicate of an item that
        clients cannot read.
        """
        self._near_duplicates.remove(item_id)

    def enrich(self, raw: RawNews, now: float, origin: Origin | None = None) -> EnrichedItem:
        """Return the complete item for a source's item: values that are missing are computed. `now` is in Unix seconds.
        `origin` is None unless the item comes from a feed. Raises ValueError if the link is not usable.
        """
        url_key = urls.canonical(raw.url) if origin is None else origin.identity
        item_id = raw.id or urls.item_id(raw.source, url_key)
        title, content, account = self._texts(raw, is_plain=origin is not None)
        title_text, content_text = tokenize(title), tokenize(content)
        matches = entities.find_entities(self._vocabularies.vocabulary, title_text, content_text)
        tickers = (
            entities.find_tickers(matches, title, content)
            if raw.tickers is None
            else entities.normalize_tickers(raw.tickers)
        )
        category = raw.category or entities.choose_category(matches, self._vocabularies.category_rule)
        authority = self._authority(account)
        age_s = inf if origin is not None and origin.is_estimated else max(now - raw.published_at, 0.0)
        scores = scoring.score(matches, tickers, category, authority, age_s)
        impact = scores.impact if raw.impact_score is None else raw.impact_score
        original = self._near_duplicates.find_or_add(item_id, title_text, content_text, raw.published_at)
        item = NewsItem(
            id=item_id,
            source=raw.source,
            source_account=account,
            title=title,
            content=content,
            url=raw.url,
            published_at=raw.published_at,
            impact_score=impact,
            relevance_score=scores.relevance if raw.relevance_score is None else raw.relevance_score,
            tickers=tickers,
            people=matches.labels(EntryKind.PERSON) if raw.people is None else raw.people,
            prediction_markets=raw.prediction_markets or (),
            category=category,
            tags=_tags(raw, matches, origin),
            is_duplicate=original is not None,
            duplicate_of=original,
            is_high_signal=impact > HIGH_SIGNAL_ABOVE,
            published_at_estimated=True if origin is not None and origin.is_estimated else UNSET,
            text_damaged=True if _LOST in title or _LOST in content else UNSET,
            retweeted_by=origin.retweeted_by if origin is not None and origin.retweeted_by else UNSET,
        )
        return EnrichedItem(item, url_key)

    def _texts(self, raw: RawNews, *, is_plain: bool) -> tuple[str, str, str]:
        """Return the title, the content and the account of an item as plain text, within their limits."""
        texts = (raw.title or "", raw.content, raw.source_account or "")
        title, content, account = texts if is_plain else map(self._to_text, texts)
        content = content[:MAX_CONTENT] or raw.url
        return title[:MAX_TITLE] or _headline(content), content, account[:_MAX_ACCOUNT]

    def _authority(self, account: str) -> float:
        """Return the points of the source whose term occurs in an account's name. If the terms of several sources
        occur, return the highest points; if none occurs, return 0.
        """
        return max((entry.points for entry in self._vocabularies.sources.entries(tokenize(account))), default=0.0)


def _tags(raw: RawNews, matches: EntityMatches, origin: Origin | None) -> tuple[str, ...]:
    if raw.tags is not None:
        return raw.tags
    found = matches.labels(EntryKind.TAG)
    return found if origin is None else tuple(dict.fromkeys((*origin.tags, *found)))[:_MAX_TAGS]


def _headline(content: str) -> str:
    """Return the first line of a content, for use as a title. A long line is cut, at a space if possible, and ends with
    an ellipsis.
    """
    line = content.split("\n", 1)[0]
    if len(line) <= _TITLE_FROM_CONTENT:
        return line
    return line[:_TITLE_FROM_CONTENT].rsplit(" ", 1)[0] + "…"
