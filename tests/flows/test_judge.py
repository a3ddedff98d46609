"""One filter at a time says what the index says of all of them."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.entitlement import ALL
from app.core.index import FilterIndex
from app.core.news import NewsItem
from app.core.subscription import Filter
from app.flows.judge import Judge
from app.flows.session import Channel
from app.ports import Record
from app.telemetry.stats import Stats
from tests.core.strategies import filters, items
from tests.support.items import item


@given(st.lists(filters, max_size=8), st.lists(items, max_size=4))
def test_an_item_read_back_is_wanted_by_whom_the_index_names(wanted: list[Filter], news: list[NewsItem]) -> None:
    index, judge = FilterIndex(), Judge(Stats())
    channels = [Channel(str(slot), wants) for slot, wants in enumerate(wanted)]
    for slot, wants in enumerate(wanted):
        index.put(slot, wants)

    for seq, one in enumerate(news, start=1):
        record = Record(seq, 0.0, one, b"")
        asked = [slot for slot, channel in enumerate(channels) if judge.wants(channel, record, ALL)]
        assert asked == list(index.match(one).recipients)


def test_readings_are_forgotten_and_made_again() -> None:
    judge, channel = Judge(Stats()), Channel("default", Filter(impact_threshold=0, keywords=("needle",)))
    news = [item(title=f"needle {seq}" if seq % 2 else f"hay {seq}") for seq in range(1_200)]

    for _ in range(2):
        verdicts = [judge.wants(channel, Record(seq, 0.0, one, b""), ALL) for seq, one in enumerate(news)]
        assert verdicts == [bool(seq % 2) for seq in range(1_200)]
