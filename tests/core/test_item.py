from typing import Any

import pytest

from app.core.errors import ClientError
from app.core.news.item import Category, Source, parse_raw
from app.core.news.urls import canonical, item_id
from tests.support.items import raw

NOW = 2e9


def test_four_fields_are_required() -> None:
    parsed = parse_raw({"source": "nitter", "content": "BTC", "url": "https://x.com/a/1", "published_at": 5}, NOW)

    assert parsed.source is Source.NITTER
    assert parsed.title is None
    assert parsed.impact_score is None


def test_publisher_values_are_kept() -> None:
    parsed = parse_raw(
        raw(impact_score=12.5, category="sports", tickers=["BTC"], prediction_markets=[{"id": 1}], extra=1), NOW
    )

    assert (parsed.impact_score, parsed.category, parsed.tickers) == (12.5, Category.SPORTS, ("BTC",))
    assert parsed.prediction_markets == ({"id": 1},)


BAD: list[tuple[dict[str, Any], set[str]]] = [
    ({"source": "fax"}, {"/source"}),
    ({"content": ""}, {"/content"}),
    ({"content": "x" * 20_000}, {"/content"}),
    ({"title": "x" * 600}, {"/title"}),
    ({"url": "javascript:alert(1)"}, {"/url"}),
    ({"url": "https://"}, {"/url"}),
    ({"url": "https://[::1"}, {"/url"}),
    ({"url": "https://example.com:99999/"}, {"/url"}),
    ({"url": "https://e.com/" + "x" * 3_000}, {"/url"}),
    ({"published_at": "yesterday"}, {"/published_at"}),
    ({"published_at": -1}, {"/published_at"}),
    ({"published_at": 1.7e12}, {"/published_at"}),
    ({"published_at": 99_999_999_999}, {"/published_at"}),
    ({"published_at": 2e9 + 86_401}, {"/published_at"}),
    ({"impact_score": 101}, {"/impact_score"}),
    ({"impact_score": True}, {"/impact_score"}),
    ({"category": "weather"}, {"/category"}),
    ({"tickers": ["BTC", 7, ""]}, {"/tickers/1", "/tickers/2"}),
    ({"tickers": ["X"] * 51}, {"/tickers"}),
    ({"people": "Powell"}, {"/people"}),
    ({"id": "a\nb"}, {"/id"}),
    ({"id": "stream"}, {"/id"}),
    ({"source": None, "url": 5, "tags": [1]}, {"/source", "/url", "/tags/0"}),
]


@pytest.mark.parametrize(("changes", "pointers"), BAD)
def test_all_wrong_fields_are_reported(changes: dict[str, Any], pointers: set[str]) -> None:
    with pytest.raises(ClientError) as caught:
        parse_raw(raw(**changes), NOW)

    assert {error.pointer for error in caught.value.fields} == pointers
    assert all(error.detail for error in caught.value.fields)


def test_time_of_a_fast_clock_is_accepted() -> None:
    assert parse_raw(raw(published_at=NOW + 86_399), NOW).published_at == NOW + 86_399


def test_all_missing_fields_are_reported() -> None:
    with pytest.raises(ClientError) as caught:
        parse_raw({}, NOW)

    assert {error.pointer for error in caught.value.fields} == {"/source", "/content", "/url", "/published_at"}


SAME_STORY = [
    ("https://example.com/a", "http://www.EXAMPLE.com:80/a/#top"),
    ("https://example.com/a?x=1&y=2", "https://example.com/a?y=2&x=1&utm_source=feed&fbclid=z"),
    ("https://example.com", "https://example.com/"),
]
OTHER_STORY = [
    ("https://example.com/a", "https://example.com/b"),
    ("https://example.com/a?x=1", "https://example.com/a?x=2"),
    ("https://example.com/A", "https://example.com/a"),
    ("https://example.com:8080/a", "https://example.com/a"),
]


@pytest.mark.parametrize(("one", "other"), SAME_STORY)
def test_equivalent_urls_are_one_item(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)
    assert item_id("rss", canonical(one)) == item_id("rss", canonical(other))


@pytest.mark.parametrize(("one", "other"), OTHER_STORY)
def test_different_urls_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)
