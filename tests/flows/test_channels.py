"""Named channels: each has its own filter, replaced between two seqs, and its past on demand."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.filters.filter import MATCH_ALL, Filter
from app.core.limits import Limits
from app.core.news.item import Category
from app.flows.delivery.channel import Channel
from app.flows.delivery.session import Session
from app.telemetry.labels import Sent
from tests.support.harness import Harness
from tests.support.link import RecordingLink

LIMITS = Limits().with_values({"filters.max_channels": 3})
CRYPTO = {"impact_threshold": 0, "categories": ["crypto"]}
LOUD = {"impact_threshold": 60}


@pytest.fixture
def harness() -> Harness:
    return Harness(LIMITS)


async def ask(harness: Harness, session: Session, link: RecordingLink, message: dict[str, Any]) -> dict[str, Any]:
    """Send a request and return its answer."""
    await harness.send(session, {"id": "q", **message})
    return next(answer for answer in reversed(link.messages) if answer.get("id") == "q")


async def test_item_comes_once_with_its_channels(harness: Harness) -> None:
    session, link = await harness.arrive(wanted=Filter(impact_threshold=60))
    await ask(harness, session, link, {"type": "subscribe", "channel": "btc", "filters": CRYPTO})

    await harness.publish(1, impact_score=80.0)
    await harness.publish(1, impact_score=10.0)
    await harness.publish(1, impact_score=80.0, category=Category.POLITICS)
    await harness.publish(1, impact_score=10.0, category=Category.POLITICS)

    items = [message for message in link.messages if message["type"] == "news_item"]
    assert [(item["seq"], item["channels"]) for item in items] == [
        (1, ["btc", "default"]),
        (2, ["btc"]),
        (3, ["default"]),
    ]
    assert harness.stats.broadcast.sends == {Sent.WRITTEN: 3, Sent.MERGED: 1, Sent.CLOSED: 0, Sent.FAILED: 0}


async def test_default_channel_alone_is_not_named(harness: Harness) -> None:
    session, link = await harness.arrive()
    await ask(harness, session, link, {"type": "subscribe", "filters": LOUD})

    await harness.publish()

    assert "channels" not in link.messages[-1]


async def test_stored_channel_follows_every_stored_change(harness: Harness) -> None:
    first, first_link = await harness.arrive()
    await ask(harness, first, first_link, {"type": "subscribe", "channel": "btc", "filters": CRYPTO})
    second, second_link = await harness.arrive(channels=(Channel("btc"),))
    answer = await ask(harness, second, second_link, {"type": "subscribe", "channel": "btc", "filters": LOUD})
    await harness.publish(1, impact_score=10.0)

    assert answer["filters"]["impact_threshold"] == 60
    assert first_link.seqs == [1]
    assert first_link.messages[-1].get("channels") == ["default"]
    assert second_link.seqs == []


async def test_own_filter_of_a_connection_is_not_stored(harness: Harness) -> None:
    session, link = await harness.arrive()

    await ask(harness, session, link, {"type": "subscribe", "channel": "x", "filters": LOUD, "persist": False})

    assert await harness.stores.subscriptions.load("u", "x") is None
    [_default, own] = (await ask(harness, session, link, {"type": "list"}))["channels"]
    assert (own["channel"], own["stored"], own["matched"]) == ("x", False, 0)


async def test_channel_without_filters_uses_the_stored_one(harness: Harness) -> None:
    session, link = await harness.arrive()
    await ask(harness, session, link, {"type": "subscribe", "channel": "btc", "filters": CRYPTO})
    await ask(harness, session, link, {"type": "unsubscribe", "channel": "btc"})

    back = await ask(harness, session, link, {"type": "subscribe", "channel": "btc"})
    unknown = await ask(harness, session, link, {"type": "subscribe", "channel": "eth"})

    assert back["filters"]["categories"] == ["crypto"]
    assert (unknown["type"], unknown["code"]) == ("error", "unknown_channel")


async def test_left_channel_gets_nothing_and_can_be_forgotten(harness: Harness) -> None:
    session, link = await harness.arrive()
    await ask(harness, session, link, {"type": "subscribe", "channel": "btc", "filters": CRYPTO})

    answer = await ask(harness, session, link, {"type": "unsubscribe", "channel": "default"})
    await harness.publish(1, category=Category.POLITICS)
    assert answer == {"type": "unsubscribed", "id": "q", "channel": "default"}
    assert link.seqs == []
    assert await harness.stores.subscriptions.load("u", "btc") is not None
    await ask(harness, session, link, {"type": "unsubscribe", "channel": "btc", "forget": True})
    await harness.publish()

    assert link.seqs == []
    assert await harness.stores.subscriptions.load("u", "btc") is None
    gone = await ask(harness, session, link, {"type": "unsubscribe", "channel": "btc"})
    assert gone["code"] == "unknown_channel"


async def test_rejoined_channel_counts_from_zero(harness: Harness) -> None:
    session, link = await harness.arrive()
    few = harness.limits.delivery.checkpoint_interval_items * 2 // 3
    await harness.publish(few)
    await ask(harness, session, link, {"type": "unsubscribe", "channel": "default"})
    await ask(harness, session, link, {"type": "subscribe", "channel": "default"})
    await harness.publish(few)

    [default] = (await ask(harness, session, link, {"type": "list"}))["channels"]
    assert default["matched"] == few
    [told] = [message for message in link.messages if message["type"] == "keep_alive"]
    assert told["delivered"] == harness.limits.delivery.checkpoint_interval_items


async def test_connection_without_channels_gets_checkpoints(harness: Harness) -> None:
    session, link = await harness.arrive()
    await ask(harness, session, link, {"type": "unsubscribe", "channel": "default"})
    await harness.publish(3)
    harness.clock.move(20)
    harness.clients.housekeeping.sweep()

    assert (link.messages[-1]["type"], link.messages[-1]["seq"]) == ("keep_alive", 3)


async def test_deleted_user_keeps_named_channels_open(harness: Harness) -> None:
    session, link = await harness.arrive(channels=(Channel("default"),))
    await ask(harness, session, link, {"type": "subscribe", "channel": "btc", "filters": CRYPTO})

    await harness.clients.subscriptions.remove("u")

    states = (await ask(harness, session, link, {"type": "list"}))["channels"]
    assert [(one["channel"], one["stored"]) for one in states] == [("default", True), ("btc", False)]


async def test_channels_are_limited(harness: Harness) -> None:
    session, link = await harness.arrive()
    for name in ("a", "b"):
        await ask(harness, session, link, {"type": "subscribe", "channel": name, "filters": {}})

    refused = await ask(harness, session, link, {"type": "subscribe", "channel": "c", "filters": {}})
    again = await ask(harness, session, link, {"type": "subscribe", "channel": "b", "filters": LOUD})

    assert (refused["code"], refused["errors"][0]["pointer"]) == ("too_many_channels", "/channel")
    assert again["type"] == "subscribed"


async def test_filter_applies_after_the_confirmed_seq(harness: Harness) -> None:
    session, link = await harness.arrive(wanted=Filter(impact_threshold=100))
    await harness.publish(4)

    answer = await ask(harness, session, link, {"type": "subscribe", "filters": {"impact_threshold": 0}})
    await harness.publish(2)

    assert answer["seq"] == 4
    assert link.seqs == [5, 6]


async def test_since_last_is_limited() -> None:
    harness = Harness(Limits().with_values({"replays.max_last_items": 2}))
    session, link = await harness.arrive()
    request = {"type": "subscribe", "channel": "p", "filters": {}}

    refused = await ask(harness, session, link, {**request, "since": {"last": 3}})
    accepted = await ask(harness, session, link, {**request, "since": {"last": 2}})

    assert refused["errors"] == [{"pointer": "/since/last", "detail": "must be an integer between 1 and 2"}]
    assert (refused["code"], accepted["type"]) == ("invalid_message", "subscribed")


@pytest.mark.parametrize(
    ("since", "expected"), [({"seq": 2}, [3, 4, 5]), ({"time": 1_000_003.0}, [4, 5]), ({"last": 1}, [5])]
)
async def test_past_of_a_channel_comes_first(harness: Harness, since: dict[str, Any], expected: list[int]) -> None:
    session, link = await harness.arrive(wanted=Filter(impact_threshold=100))
    for _ in range(5):
        await harness.publish()
        harness.clock.move(1)
    async with harness.reading():
        answer = await ask(
            harness,
            session,
            link,
            {"type": "subscribe", "channel": "p", "filters": {"impact_threshold": 0}, "since": since},
        )
        await harness.settle()
        await harness.publish()

    assert answer["seq"] == expected[0] - 1
    assert link.seqs == [*expected, 6]
    assert all(message["channels"] == ["p"] for message in link.messages if message["type"] == "news_item")


async def test_expired_past_of_a_channel_is_a_gap(harness: Harness) -> None:
    session, link = await harness.arrive(is_v2=True)
    await harness.publish(10)
    await harness.stores.log.prune(0.0, 4, 100)
    async with harness.reading():
        await ask(harness, session, link, {"type": "subscribe", "channel": "p", "filters": {}, "since": {"seq": 0}})
        await harness.settle()

    [gap] = [message for message in link.messages if message["type"] == "gap"]
    assert (gap["from_seq"], gap["to_seq"]) == (1, 6)


async def test_other_channels_are_unaffected_by_a_past(harness: Harness) -> None:
    session, link = await harness.arrive()
    await harness.publish(5)
    async with harness.reading():
        await ask(
            harness,
            session,
            link,
            {"type": "subscribe", "channel": "p", "filters": {"impact_threshold": 0}, "since": {"seq": 1}},
        )
        await harness.publish(5)
        await harness.settle()
        await harness.publish()

    by_channel: dict[str, list[int]] = {"default": [], "p": []}
    for message in link.messages:
        if message["type"] == "news_item":
            for name in message.get("channels", ["default"]):
                by_channel[name].append(message["seq"])
    assert by_channel == {"default": list(range(1, 12)), "p": list(range(2, 12))}


async def test_channels_are_listed_with_match_counts(harness: Harness) -> None:
    session, link = await harness.arrive(wanted=MATCH_ALL)
    await harness.publish(2)
    await ask(harness, session, link, {"type": "subscribe", "channel": "btc", "filters": CRYPTO})
    await harness.publish(1, category=Category.POLITICS)
    await harness.publish(1, category=Category.CRYPTO)

    listed = await ask(harness, session, link, {"type": "list"})

    assert [(one["channel"], one["matched"], one["stored"]) for one in listed["channels"]] == [
        ("default", 4, False),
        ("btc", 1, True),
    ]


async def test_explain_names_each_channel(harness: Harness) -> None:
    session, link = await harness.arrive(wanted=Filter(impact_threshold=100))
    await ask(harness, session, link, {"type": "subscribe", "channel": "btc", "filters": CRYPTO})
    await harness.publish()
    [record] = await harness.stores.log.read(0, 1)

    answer = await ask(harness, session, link, {"type": "explain", "item": record.item.id})

    assert answer["verdict"] == "matched"
    assert [(one["channel"], one["state"], one["verdict"]) for one in answer["connections"]] == [
        ("default", "rejected", "impact"),
        ("btc", "written", "matched"),
    ]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 20)),
        st.tuples(st.just("store"), st.integers(1, 6)),
        st.tuples(st.just("yield"), st.integers(1, 20)),
        st.tuples(st.just("subscribe"), st.sampled_from([0, 30, 70])),
        st.tuples(st.just("leave"), st.just(0)),
        st.tuples(st.just("stall"), st.just(0)),
        st.tuples(st.just("take"), st.integers(1, 2_000)),
        st.tuples(st.just("flow"), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_each_channel_gets_what_its_filters_matched(steps: list[tuple[str, int]]) -> None:
    asyncio.run(_live_through(steps))


async def _live_through(steps: list[tuple[str, int]]) -> None:
    life = _Life()
    life.session, _ = await life.harness.arrive(link=life.link)
    async with life.harness.reading():
        for word, amount in steps:
            await life.do(word, amount)
        await life.harness.come_to_rest(life.link)
    life.end()

    assert life.link.endings == []
    assert life.link.seqs == sorted(set(life.link.seqs))
    assert life.got("default") == list(range(1, life.harness.published + 1))
    assert life.got("p") == life.wanted


class _Life:
    """A connection with the channel default, which matches everything, and p, whose filter changes; and p's oracle."""

    def __init__(self) -> None:
        self.harness = Harness(
            Limits().with_values(
                {
                    "delivery.write_high_water_bytes": 14_000,
                    "delivery.write_low_water_bytes": 2_000,
                    "replays.page_items": 7,
                }
            )
        )
        self.link = RecordingLink()
        self.session: Session | None = None
        self.impacts: list[int] = []
        self.wanted: list[int] = []
        self.threshold: int | None = None
        self.since = 0

    def got(self, name: str) -> list[int]:
        items = [message for message in self.link.messages if message["type"] == "news_item"]
        return [item["seq"] for item in items if name in item.get("channels", ["default"])]

    def end(self, seq: int | None = None) -> None:
        """Add what p's filter matched up to a seq, or up to the end."""
        last = len(self.impacts) if seq is None else seq
        if self.threshold is not None:
            self.wanted += [at for at in range(self.since + 1, last + 1) if self.impacts[at - 1] >= self.threshold]
        self.threshold = None

    async def do(self, word: str, amount: int) -> None:
        assert self.session is not None
        if word in ("publish", "store"):
            for _ in range(amount):
                self.impacts.append((len(self.impacts) * 37) % 100)
                await self.harness.store(1, impact_score=float(self.impacts[-1]))
            if word == "publish" and self.harness.live.position < self.harness.published:
                await self.harness.broadcast_together()
        elif word == "yield":
            for _ in range(amount):
                await asyncio.sleep(0)
        elif word in ("subscribe", "leave"):
            await self.change(self.session, word, amount)
        else:
            self.flow(word, amount)

    async def change(self, session: Session, word: str, threshold: int) -> None:
        if word == "subscribe":
            filters = {"impact_threshold": threshold}
            message = {"type": "subscribe", "channel": "p", "filters": filters, "persist": False}
            # Items may be read during the request: the answer tells where the filter changed.
            seq = (await ask(self.harness, session, self.link, message))["seq"]
            self.end(seq)
            self.threshold, self.since = threshold, seq
        elif (channel := session.channels.find("p")) is not None:
            self.end(self.harness.live.decided_seq(session))
            self.harness.manager.leave_channel(session, channel)

    def flow(self, word: str, amount: int) -> None:
        if word == "stall":
            self.link.stalled = True
        elif word == "take":
            self.link.take(min(amount, self.link.untaken))
        else:
            self.link.take()
