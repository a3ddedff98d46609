"""Complete the items that sources provide: plain text, entities, category, scores, near-duplicates.

Values that a source provides are kept, and missing ones are computed. docs/scoring.md explains the results to users.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.core.news import entities, scoring, urls
from app.core.news.entities import CategoryRule, EntryKind, Vocabulary
from app.core.news.item import HIGH_SIGNAL_ABOVE, MAX_CONTENT, MAX_TITLE, NewsItem, RawNews
from app.core.news.near_duplicates import NearDuplicateIndex
from app.core.text.words import tokenize

_MAX_ACCOUNT = 256
_TITLE_FROM_CONTENT = 120


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

    def enrich(self, raw: RawNews, now: float) -> EnrichedItem:
        """Return the complete item for a source's item: values that are missing are computed. `now` is in Unix seconds.
        Raises ValueError if the link is not usable.
        """
        url_key = urls.canonical(raw.url)
        item_id = raw.id or urls.item_id(raw.source, url_key)
        content = self._to_text(raw.content)[:MAX_CONTENT] or raw.url
        title = self._to_text(raw.title or "")[:MAX_TITLE] or _headline(content)
        title_text, content_text = tokenize(title), tokenize(content)
        account = self._to_text(raw.source_account or "")[:_MAX_ACCOUNT]
        matches = entities.find_entities(self._vocabularies.vocabulary, title_text, content_text)
        tickers = (
            entities.find_tickers(matches, title, content)
            if raw.tickers is None
            else entities.normalize_tickers(raw.tickers)
        )
        category = raw.category or entities.choose_category(matches, self._vocabularies.category_rule)
        authority = self._authority(account)
        scores = scoring.score(matches, tickers, category, authority, max(now - raw.published_at, 0.0))
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
            tags=matches.labels(EntryKind.TAG) if raw.tags is None else raw.tags,
            is_duplicate=original is not None,
            duplicate_of=original,
            is_high_signal=impact > HIGH_SIGNAL_ABOVE,
        )
        return EnrichedItem(item, url_key)

    def _authority(self, account: str) -> float:
        """Return the points of the source whose term occurs in an account's name. If the terms of several sources
        occur, return the highest points; if none occurs, return 0.
        """
        return max((entry.points for entry in self._vocabularies.sources.entries(tokenize(account))), default=0.0)


def _headline(content: str) -> str:
    """Return the first line of a content, for use as a title. A long line is cut, at a space if possible, and ends with
    an ellipsis.
    """
    line = content.split("\n", 1)[0]
    if len(line) <= _TITLE_FROM_CONTENT:
        return line
    return line[:_TITLE_FROM_CONTENT].rsplit(" ", 1)[0] + "…"
