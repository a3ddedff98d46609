"""One filter at a time decides as the index does for all of them."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.access.entitlement import UNRESTRICTED
from app.core.filters.filter import Filter
from app.core.filters.filter_index import FilterIndex
from app.core.news.item import NewsItem
from app.flows.delivery.channel import Channel
from app.flows.delivery.replay_filter import ReplayFilter
from app.ports.log import Record
from tests.core.strategies import filters, items
from tests.support.items import item


@given(st.lists(filters, max_size=8), st.lists(items, max_size=4))
def test_replay_filter_agrees_with_the_index(wanted: list[Filter], news: list[NewsItem]) -> None:
    index, judge = FilterIndex(), ReplayFilter()
    channels = [Channel(str(slot), wants) for slot, wants in enumerate(wanted)]
    for slot, wants in enumerate(wanted):
        index.put(slot, wants)

    for seq, one in enumerate(news, start=1):
        record = Record(seq, 0.0, one, b"")
        asked = [slot for slot, channel in enumerate(channels) if judge.matches(channel, record, UNRESTRICTED)]
        assert asked == list(index.match(one).recipients)


def test_cache_is_bounded_and_refilled() -> None:
    judge, channel = ReplayFilter(), Channel("default", Filter(impact_threshold=0, keywords=("needle",)))
    news = [item(title=f"needle {seq}" if seq % 2 else f"hay {seq}") for seq in range(1_200)]

    for _ in range(2):
        verdicts = [judge.matches(channel, Record(seq, 0.0, one, b""), UNRESTRICTED) for seq, one in enumerate(news)]
        assert verdicts == [bool(seq % 2) for seq in range(1_200)]
