from typing import Any

import pytest

from app.core.access.entitlement import UNRESTRICTED, parse_entitlement
from app.core.errors import ClientError, ErrorCode
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.filters.matching import Outcome, why_not
from app.core.news.item import Category, NewsItem, Source
from tests.support.items import item

WIRE = item(source=Source.RSS, source_account="Reuters Business", category=Category.ECONOMICS, impact_score=80.0)
POST = item(source=Source.NITTER, source_account="@WhaleAlert", category=Category.CRYPTO, impact_score=80.0)


@pytest.mark.parametrize(
    ("claim", "news", "outcome"),
    [
        ({}, WIRE, None),
        ({"categories": ["economics"]}, WIRE, None),
        ({"categories": ["Crypto"]}, WIRE, Outcome.CATEGORY),
        ({"categories": []}, WIRE, Outcome.CATEGORY),
        ({"sources": ["rss"]}, WIRE, None),
        ({"sources": ["rss"]}, POST, Outcome.SOURCE),
        ({"sources": ["@whalealert"]}, POST, None),
        ({"sources": ["@whalealert"]}, WIRE, Outcome.SOURCE),
        ({"sources": ["reuters"]}, WIRE, None),
        ({"sources": ["reuters"]}, POST, Outcome.SOURCE),
        ({"sources": ["reuters world"]}, WIRE, Outcome.SOURCE),
        ({"sources": []}, WIRE, Outcome.SOURCE),
    ],
)
def test_token_hides_what_it_does_not_name(claim: dict[str, Any], news: NewsItem, outcome: Outcome | None) -> None:
    assert why_not(news, MATCH_ALL, parse_entitlement(claim)) is outcome


def test_entitlement_never_widens_a_filter() -> None:
    entitled = parse_entitlement({"categories": ["crypto", "economics"], "sources": ["rss", "nitter"]})

    assert why_not(WIRE, Filter(impact_threshold=0, categories=("crypto",)), entitled) is Outcome.CATEGORY
    assert why_not(WIRE, Filter(impact_threshold=90), entitled) is Outcome.IMPACT


@pytest.mark.parametrize(
    ("claim", "pointer"),
    [
        ("all", "/ent"),
        (None, "/ent"),
        ({"categories": "crypto"}, "/ent/categories"),
        ({"categories": ["weather"]}, "/ent/categories/0"),
        ({"sources": [7]}, "/ent/sources/0"),
        ({"max_channels": 0}, "/ent/max_channels"),
        ({"max_channels": True}, "/ent/max_channels"),
        ({"min_delay_s": -1}, "/ent/min_delay_s"),
        ({"min_delay_s": 1e9}, "/ent/min_delay_s"),
        ({"max_items": 3}, "/ent/max_items"),
    ],
)
def test_unenforceable_claim_is_refused(claim: object, pointer: str) -> None:
    with pytest.raises(ClientError) as caught:
        parse_entitlement(claim)

    assert caught.value.code is ErrorCode.UNAUTHORIZED
    assert [bad.pointer for bad in caught.value.fields] == [pointer]


def test_token_without_claim_is_unrestricted() -> None:
    assert parse_entitlement({}) == UNRESTRICTED
    assert not UNRESTRICTED.hides_items
    assert UNRESTRICTED.max_channels_within(32) == 32
    assert parse_entitlement({"max_channels": 2}).max_channels_within(32) == 2
    assert parse_entitlement({"max_channels": 99}).max_channels_within(32) == 32


def test_delay_counts_from_acceptance() -> None:
    entitled = parse_entitlement({"min_delay_s": 60})

    assert entitled.hides_items
    assert not entitled.is_due(accepted_at=100.0, now=159.9)
    assert entitled.is_due(accepted_at=100.0, now=160.0)
    assert UNRESTRICTED.is_due(accepted_at=100.0, now=99.0)
