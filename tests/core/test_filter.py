from typing import Any

import pytest

from app.core.errors import ClientError, ErrorCode
from app.core.filters.filter import DEFAULT_THRESHOLD, MATCH_ALL, Filter, parse_filter


def test_empty_filter_has_only_the_default_impact() -> None:
    assert parse_filter({}).filter == Filter(impact_threshold=DEFAULT_THRESHOLD)
    assert MATCH_ALL.impact_threshold == 0


def test_categories_are_normalized_and_deduplicated() -> None:
    checked = parse_filter({"categories": ["Crypto", "CRYPTO ", "sports"], "exclude": {"categories": ["Other"]}})

    assert checked.filter.categories == ("crypto", "sports")
    assert checked.filter.exclude.categories == ("other",)


def test_integral_float_is_an_integer() -> None:
    assert parse_filter({"impact_threshold": 55.0}).filter.impact_threshold == 55


def test_unknown_keys_are_warnings() -> None:
    checked = parse_filter({"impact_threshold": 70, "min_impact": 75}, "/filters")

    assert [warning.pointer for warning in checked.warnings] == ["/filters/min_impact"]


BAD: list[tuple[dict[str, Any], set[str]]] = [
    ({"impact_threshold": 101}, {"/impact_threshold"}),
    ({"impact_threshold": -1}, {"/impact_threshold"}),
    ({"impact_threshold": 70.5}, {"/impact_threshold"}),
    ({"impact_threshold": True}, {"/impact_threshold"}),
    ({"impact_threshold": "70"}, {"/impact_threshold"}),
    ({"keywords": "fed"}, {"/keywords"}),
    ({"keywords": ["fed", "x", 3, "y" * 65]}, {"/keywords/1", "/keywords/2", "/keywords/3"}),
    ({"keywords": ["fed"] * 201}, {"/keywords"}),
    ({"keywords": ["fed", "!!", "**"]}, {"/keywords/1", "/keywords/2"}),
    ({"rss_feeds": ["…"]}, {"/rss_feeds/0"}),
    ({"categories": ["crypto", "weather"]}, {"/categories/1"}),
    ({"nitter_accounts": [None]}, {"/nitter_accounts/0"}),
    ({"sources_strict": "yes"}, {"/sources_strict"}),
    ({"exclude": []}, {"/exclude"}),
    ({"exclude": {"keywords": ["a"], "people": 5}}, {"/exclude/keywords/0", "/exclude/people"}),
    ({"exclude": {"categories": ["x"]}}, {"/exclude/categories/0"}),
    ({"keywords": [1], "impact_threshold": 500}, {"/keywords/0", "/impact_threshold"}),
]


@pytest.mark.parametrize(("wishes", "pointers"), BAD)
def test_all_wrong_fields_are_reported(wishes: dict[str, Any], pointers: set[str]) -> None:
    with pytest.raises(ClientError) as caught:
        parse_filter(wishes)

    assert caught.value.code is ErrorCode.INVALID_FILTER
    assert {error.pointer for error in caught.value.fields} == pointers
