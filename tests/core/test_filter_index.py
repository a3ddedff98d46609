"""The index against the reference matcher, and the reference matcher against the oracle."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.filters.filter_index import FilterIndex, Match
from app.core.filters.matching import Outcome, why_not
from app.core.news.item import NewsItem
from tests.core.strategies import entitlements, filters, items
from tests.support import oracle
from tests.support.items import item

Held = tuple[Filter | None, Entitlement]
"""What a slot has; None stands for a broken filter."""


def truth(item: NewsItem, live: dict[int, Held]) -> tuple[set[int], Counter[Outcome]]:
    """Ask `matching` about every slot, one by one."""
    verdicts = {
        slot: Outcome.ERROR if wants is None else why_not(item, wants, entitled) or Outcome.MATCHED
        for slot, (wants, entitled) in live.items()
    }
    recipients = {slot for slot, verdict in verdicts.items() if verdict is Outcome.MATCHED}
    return recipients, Counter(verdicts.values())


def check(match: Match, item: NewsItem, live: dict[int, Held]) -> None:
    recipients, counts = truth(item, live)
    assert set(match.recipients) == recipients
    for outcome in (Outcome.IMPACT, Outcome.CATEGORY, Outcome.SOURCE, Outcome.KEYWORD, Outcome.ERROR):
        assert getattr(match, outcome.value) == counts[outcome], outcome


class IndexUnderChange(RuleBasedStateMachine):
    """Puts, replaces and removes random filters, and matches random items in between."""

    def __init__(self) -> None:
        super().__init__()
        self.index = FilterIndex()
        self.live: dict[int, Held] = {}

    @rule(slot=st.integers(0, 7), wants=filters, entitled=entitlements)
    def put(self, slot: int, wants: Filter, entitled: Entitlement) -> None:
        self.index.put(slot, wants, entitled)
        self.live[slot] = wants, entitled

    @rule(slot=st.integers(0, 7))
    def drop(self, slot: int) -> None:
        self.index.remove(slot)
        self.live.pop(slot, None)

    @rule(slot=st.integers(0, 7))
    def put_broken(self, slot: int) -> None:
        self.index.put_broken(slot)
        self.live[slot] = None, UNRESTRICTED

    @rule(news=items)
    def match(self, news: NewsItem) -> None:
        check(self.index.match(news), news, self.live)

    @invariant()
    def every_slot_is_counted(self) -> None:
        assert len(self.index) == len(self.live)


TestIndexUnderChange = IndexUnderChange.TestCase


@given(st.lists(st.tuples(filters, entitlements), min_size=1, max_size=8), st.lists(items, min_size=1, max_size=4))
def test_index_agrees_with_the_reference_matcher(
    wishes: list[tuple[Filter, Entitlement]], news: list[NewsItem]
) -> None:
    index = FilterIndex()
    live: dict[int, Held] = dict(enumerate(wishes))
    for slot, (wants, entitled) in enumerate(wishes):
        index.put(slot, wants, entitled)

    for each in news:
        check(index.match(each), each, live)


@given(filters, items)
def test_reference_matcher_agrees_with_the_oracle(wants: Filter, news: NewsItem) -> None:
    asked = msgspec.to_builtins(wants)

    assert (why_not(news, wants) is None) is oracle.wants(asked, msgspec.to_builtins(news))


@given(st.lists(st.tuples(filters, entitlements), min_size=1, max_size=6))
def test_removed_filters_leave_nothing_behind(wishes: list[tuple[Filter, Entitlement]]) -> None:
    index = FilterIndex()
    for slot, (wants, entitled) in enumerate(wishes):
        index.put(slot, wants, entitled)

    for slot in range(len(wishes)):
        index.remove(slot)

    assert len(index) == 0
    assert set(index.sizes().values()) == {0}
    assert not index.match(item()).recipients


def test_fractional_impact_meets_the_lower_threshold() -> None:
    index = FilterIndex()
    index.put(1, Filter(impact_threshold=70))

    assert not index.match(item(impact_score=69.99)).recipients
    assert index.match(item(impact_score=70.0)).recipients
    assert index.match(item(impact_score=100.0)).recipients


def test_broken_filter_matches_nothing_and_counts_as_error() -> None:
    index = FilterIndex()
    index.put(1, MATCH_ALL)
    index.put_broken(1)

    match = index.match(item())

    assert not match.recipients
    assert match.error == 1


def test_shared_phrase_starts_do_not_multiply_cost() -> None:
    index = FilterIndex()
    for slot in range(1_000):
        index.put(slot, Filter(impact_threshold=0, keywords=(f"the fed number {slot}",)))

    match = index.match(item(title="the fed number 77 said"))

    assert list(match.recipients) == [77]


def test_similar_phrases_are_removed_independently() -> None:
    index = FilterIndex()
    index.put(1, Filter(impact_threshold=0, keywords=("the fed one",)))
    index.put(2, Filter(impact_threshold=0, keywords=("the fed two",)))

    index.remove(1)

    assert list(index.match(item(title="the fed two")).recipients) == [2]
    assert not index.match(item(title="the fed one")).recipients


def test_shared_term_is_found_until_both_are_removed() -> None:
    index = FilterIndex()
    wants = Filter(impact_threshold=0, keywords=("fed*", "rate cut", "rate cu*", "欧洲央行", "美"))
    told = item(title="Federal Reserve: 欧洲央行", impact_score=90)
    for slot in (1, 2):
        index.put(slot, wants)

    found = []
    for slot in (1, 2):
        found.append(list(index.match(told).recipients))
        index.remove(slot)

    assert found == [[1, 2], [2]]
    assert not index.match(told).recipients
    assert index.sizes()["keyword"] == 0


def test_shared_prefix_stems_are_removed_independently() -> None:
    index = FilterIndex()
    for slot, keyword in enumerate(("fed*", "feder*", "f*")):
        index.put(slot, Filter(impact_threshold=0, keywords=(keyword,)))
    told = item(title="Federal Reserve", impact_score=90)

    found = []
    for slot in (0, 1, 2):
        found.append(list(index.match(told).recipients))
        index.remove(slot)

    assert found == [[0, 1, 2], [1, 2], [2]]
