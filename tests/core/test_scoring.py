"""The worked examples of docs/scoring.md, and the properties behind them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.data.vocabularies import load_vocabularies
from app.core.news import entities, scoring
from app.core.news.entities import CategoryRule, EntityMatches, EntryKind, Vocabulary, VocabularyEntry
from app.core.news.item import Category
from app.core.text.words import tokenize

TABLES = load_vocabularies()

EXAMPLES = [
    # title, source, category, tickers, minimum and maximum impact
    ("BREAKING: Fed announces emergency rate cut of 50 basis points", "Reuters", "economics", (), 90, 100),
    ("Bitcoin ETF approved by SEC", "@deitaone", "crypto", ("BTC",), 70, 90),
    ("Ceasefire agreed in Gaza", "AP", "politics", (), 65, 90),
    ("LeBron James ruled out for game 7", "@shamscharania", "sports", (), 60, 90),
    ("$NVDA beats earnings estimates", "Bloomberg", "economics", ("NVDA",), 40, 70),
    ("Local library is open on Sundays", "Village News", "other", (), 0, 10),
]


@pytest.mark.parametrize(("title", "source", "category", "tickers", "least", "most"), EXAMPLES)
def test_worked_examples(
    title: str, source: str, category: str, tickers: tuple[str, ...], least: int, most: int
) -> None:
    findings = entities.find_entities(TABLES.vocabulary, tokenize(title), tokenize(title))
    found = entities.choose_category(findings, TABLES.category_rule)
    symbols = entities.find_tickers(findings, title, "")
    authority = max((sense.points for sense in TABLES.sources.entries(tokenize(source))), default=0.0)

    scores = scoring.score(findings, symbols, found, authority, age_s=0)

    assert found.value == category
    assert symbols == tickers
    assert least <= scores.impact <= most


senses = st.builds(
    VocabularyEntry, st.text(max_size=3), st.sampled_from(EntryKind), st.text(max_size=3), st.floats(0, 60)
)


@given(st.lists(senses, max_size=30), senses, st.floats(0, 40), st.floats(0, 1e7))
def test_more_evidence_never_lowers_a_score(
    found: list[VocabularyEntry], more: VocabularyEntry, authority: float, age_s: float
) -> None:
    before = scoring.score(EntityMatches(tuple(found), ()), (), Category.OTHER, authority, age_s)
    after = scoring.score(EntityMatches((*found, more), ()), (), Category.OTHER, authority, age_s)

    assert 0 <= before.impact <= after.impact <= 100
    assert 0 <= before.relevance <= after.relevance <= 100


def test_impact_decays_with_age() -> None:
    shares = [scoring.freshness(hours * 3600) for hours in (0, 12, 36, 100, 1_000)]

    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[-1]) == (1.0, 0.5)


def test_title_match_is_not_counted_again_in_content() -> None:
    vocabulary = Vocabulary([VocabularyEntry("goal", EntryKind.CATEGORY, "sports", 5.0)])

    once = entities.find_entities(vocabulary, tokenize("goal"), tokenize(""))
    twice = entities.find_entities(vocabulary, tokenize("goal"), tokenize("goal goal"))

    assert once.of_kind(EntryKind.CATEGORY)
    assert all(once.of_kind(kind) == twice.of_kind(kind) for kind in EntryKind)


def test_uncertain_category_is_other() -> None:
    vocabulary = Vocabulary(
        [
            VocabularyEntry("goal", EntryKind.CATEGORY, "sports", 5.0),
            VocabularyEntry("rates", EntryKind.CATEGORY, "economics", 5.0),
        ]
    )
    rule = CategoryRule(threshold=8, margin=1.3)

    def category(title: str, content: str) -> Category:
        return entities.choose_category(entities.find_entities(vocabulary, tokenize(title), tokenize(content)), rule)

    assert category("goal", "") is Category.SPORTS
    assert category("", "goal") is Category.OTHER
    assert category("goal rates", "") is Category.OTHER
    assert category("", "") is Category.OTHER


def test_cashtags_are_tickers_but_amounts_are_not() -> None:
    nothing = EntityMatches((), ())

    assert entities.find_tickers(nothing, "$TSLA and $BRK.B up, $5 and $1bn not", "A$AP no, ($QQQ) yes") == (
        "TSLA",
        "BRK.B",
        "QQQ",
    )


def test_term_without_letters_raises() -> None:
    with pytest.raises(ValueError, match="no letter or digit"):
        Vocabulary([VocabularyEntry("!!", EntryKind.TAG, "x", 0.0)])
