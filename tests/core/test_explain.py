"""The explanation of a verdict agrees with the verdict."""

import pytest
from hypothesis import given

from app.core.access.entitlement import parse_entitlement
from app.core.filters.explain import FilterStep, FilterVerdict, explain_filter
from app.core.filters.filter import MATCH_ALL, Exclude, Filter
from app.core.filters.matching import Outcome, why_not
from app.core.news.item import NewsItem
from tests.core.strategies import filters, items
from tests.support.items import item


@given(items, filters)
def test_verdict_equals_the_matchers(news: NewsItem, wants: Filter) -> None:
    verdict = explain_filter(news, wants)

    assert verdict.outcome == (why_not(news, wants) or Outcome.MATCHED)
    assert [step.step for step in verdict.steps] == [Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD]
    assert all(step.is_met for step in verdict.steps) == (verdict.outcome is Outcome.MATCHED)


def test_every_step_reports_want_and_got() -> None:
    wants = Filter(
        impact_threshold=90, categories=("sports",), rss_feeds=("wsj",), exclude=Exclude(keywords=("title",))
    )

    impact, category, source, keyword = explain_filter(item(impact_score=80.0), wants).steps

    assert impact == (Outcome.IMPACT, False, {"impact_threshold": 90}, {"impact_score": 80.0})
    assert (category.is_met, category.want, category.got) == (
        False,
        {"categories": ("sports",)},
        {"category": "crypto"},
    )
    assert source.want == {"nitter_accounts": (), "rss_feeds": ("wsj",), "sources_strict": False}
    assert source.got == {"source": "rss", "source_account": "Example Wire"}
    assert keyword.want["exclude"] == wants.exclude
    assert keyword.got == {"title": "A title", "tickers": (), "people": ()}
    assert not source.is_met
    assert not keyword.is_met


@pytest.mark.parametrize(
    ("hides", "step"), [({"categories": []}, Outcome.CATEGORY), ({"sources": ["nitter"]}, Outcome.SOURCE)]
)
def test_hidden_item_reveals_only_the_hiding_step(hides: dict[str, object], step: Outcome) -> None:
    verdict = explain_filter(item(title="kept back"), MATCH_ALL, parse_entitlement(hides))

    assert verdict == FilterVerdict(step, (FilterStep(step, is_met=False, want={"entitled": True}, got={}),))
