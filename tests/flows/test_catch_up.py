"""From the log to one connection and back to live: nothing lost, duplicated or out of order."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.access.entitlement import Entitlement
from app.core.delivery.phases import Phase
from app.core.delivery.positions import Position, ResumeAfter, ResumeLast, ResumeRequest, ResumeSince
from app.core.errors import ErrorCode, NewsError, ServerError
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.channel import Channel
from app.flows.delivery.replay_filter import ReplayFilter
from app.flows.operations.retention import Retention
from app.ports.log import Record
from app.telemetry.labels import Resume, SlowAction
from tests.support.harness import Harness
from tests.support.link import RecordingLink

LIMITS = Limits().with_values(
    {
        "delivery.write_high_water_bytes": 4_000,
        "delivery.write_low_water_bytes": 2_000,
        "replays.page_items": 7,
        "delivery.max_lag_items": 500,
    }
)


@pytest.fixture
def harness() -> Harness:
    return Harness(LIMITS)


def at(harness: Harness, seq: int) -> Position:
    return Position(harness.stores.log.epoch, seq)


async def test_resumed_client_gets_missed_then_new_items(harness: Harness) -> None:
    await harness.publish(30)
    session, link = await harness.arrive(resume=at(harness, 10), is_v2=True)
    async with harness.reading():
        await harness.settle()
        await harness.publish(5)

    assert link.seqs == list(range(11, 36))
    assert link.kinds == ["welcome", "news_item", "live", "news_item"]
    assert link.messages[0]["recovered"] is True
    replayed = [message for message in link.messages if message.get("replay")]
    assert [message["seq"] for message in replayed] == list(range(11, 31))
    live = next(message for message in link.messages if message["type"] == "live")
    assert (live["seq"], live["replayed"]) == (30, 20)
    assert session.phase is Phase.LIVE
    assert harness.stats.recovery.resumes == {Resume.COMPLETE: 1}
    assert harness.stats.recovery.replayed_items == 20


async def test_client_that_missed_nothing_is_live_at_once(harness: Harness) -> None:
    await harness.publish(3)

    session, link = await harness.arrive(resume=at(harness, 3), is_v2=True)

    assert session.phase is Phase.LIVE
    assert link.kinds == ["welcome", "live"]
    assert (link.messages[1]["seq"], link.messages[1]["replayed"]) == (3, 0)
    assert harness.stats.recovery.resumes == {Resume.EMPTY: 1}


async def test_replay_is_filtered(harness: Harness) -> None:
    for number in range(20):
        await harness.publish(1, impact_score=float(number * 5))
    _, link = await harness.arrive(wanted=Filter(impact_threshold=50), resume=at(harness, 5))
    async with harness.reading():
        await harness.settle()

    assert link.seqs == list(range(11, 21))


async def test_classic_client_resumes_without_v2_messages(harness: Harness) -> None:
    await harness.publish(5)
    _, link = await harness.arrive(resume=at(harness, 2))
    async with harness.reading():
        await harness.settle()

    assert link.kinds == ["news_item"]
    assert link.seqs == [3, 4, 5]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ResumeSince(1_000_005.0), [6, 7, 8, 9, 10]),
        (ResumeSince(0.0), list(range(1, 11))),
        (ResumeSince(2_000_000.0), []),
        (ResumeLast(3), [8, 9, 10]),
        (ResumeLast(100), list(range(1, 11))),
        (ResumeAfter(7), [8, 9, 10]),
    ],
)
async def test_connection_starts_at_a_time_or_last_items(
    harness: Harness, asked: ResumeRequest, expected: list[int]
) -> None:
    for _ in range(10):
        await harness.publish()
        harness.clock.move(1)
    _, link = await harness.arrive(resume=asked)
    async with harness.reading():
        await harness.settle()

    assert link.seqs == expected


async def test_last_counts_matching_items(harness: Harness) -> None:
    for number in range(30):
        await harness.publish(1, impact_score=90.0 if number % 10 == 0 else 10.0)
    _, link = await harness.arrive(wanted=Filter(impact_threshold=50), resume=ResumeLast(2))
    async with harness.reading():
        await harness.settle()

    assert link.seqs == [11, 21]


async def test_expired_items_are_a_gap(harness: Harness) -> None:
    await harness.publish(20)
    await harness.stores.log.prune(0.0, 10, 100)
    _, link = await harness.arrive(resume=at(harness, 4), is_v2=True)
    async with harness.reading():
        await harness.settle()

    welcome, gap = link.messages[:2]
    assert (welcome["recovered"], welcome["reason"]) == (False, "expired")
    assert (gap["type"], gap["from_seq"], gap["to_seq"], gap["reason"]) == ("gap", 5, 10, "expired")
    assert gap["backfill"] == "/api/v1/news?after_seq=4"
    assert link.seqs == list(range(11, 21))
    assert harness.stats.recovery.gap_items == 6
    assert harness.stats.recovery.resumes == {Resume.GAP: 1}


async def test_position_of_another_log_is_a_full_gap(harness: Harness) -> None:
    await harness.publish(5)
    session, link = await harness.arrive(resume=Position("other", 3))
    [record] = await harness.stores.log.read(2, 1)
    await harness.send(session, {"type": "explain", "item": record.item.id})

    assert session.phase is Phase.LIVE
    gap, explanation = link.messages
    assert explanation["connections"][0]["state"] == "in_gap"
    assert (gap["from_seq"], gap["to_seq"], gap["reason"]) == (1, 5, "epoch_changed")


async def test_required_resume_with_a_gap_is_refused(harness: Harness) -> None:
    await harness.publish(5)

    with pytest.raises(NewsError) as caught:
        await harness.arrive(resume=Position("other", 3), is_resume_required=True)

    assert caught.value.code is ErrorCode.RESUME_EXPIRED
    assert harness.admission.users == 0


async def test_slow_client_reads_the_log_and_returns_live(harness: Harness) -> None:
    link = RecordingLink(stalled=True)
    session, _ = await harness.arrive(link=link, is_v2=True)
    async with harness.reading():
        await harness.publish(100)
        await harness.settle()
        assert session.phase is Phase.LAGGING
        assert link.buffered_bytes() < LIMITS.delivery.write_high_water_bytes + 1_000
        first_unread = session.cursor + 1
        harness.clock.move(7)
        while session.phase is Phase.LAGGING:
            link.take(link.untaken // 2)
            await harness.settle()
        link.take()
        await harness.publish(3)

    assert link.seqs == list(range(1, 104))
    lag = next(message for message in link.messages if message["type"] == "lag")
    assert (lag["behind_items"], lag["behind_ms"]) == (100 - first_unread + 1, 7_000)
    assert link.kinds.count("live") == 1
    assert harness.stats.connections.slow == {SlowAction.LAGGING: 1, SlowAction.CAUGHT_UP: 1}


async def test_client_that_reads_nothing_stays_behind(harness: Harness) -> None:
    link = RecordingLink(stalled=True)
    session, _ = await harness.arrive(link=link)
    async with harness.reading():
        for _ in range(100):
            await harness.publish()
            await harness.settle()

    assert session.phase is Phase.LAGGING
    assert link.buffered_bytes() < LIMITS.delivery.write_high_water_bytes + 1_000
    assert harness.stats.connections.slow == {SlowAction.LAGGING: 1}


async def test_client_without_progress_is_disconnected(harness: Harness) -> None:
    link = RecordingLink(stalled=True)
    session, _ = await harness.arrive(link=link)
    async with harness.reading():
        await harness.publish(50)
        await harness.settle()
        for _ in range(30):
            harness.clock.move(1)
            harness.clients.catch_up.sweep()
            harness.clients.housekeeping.sweep()
        assert link.endings == []
        harness.clock.move(1.5)
        harness.clients.catch_up.sweep()
        await harness.settle()

    assert link.endings == [DisconnectReason.SLOW_CONSUMER]
    assert session.phase is Phase.CLOSED


async def test_client_with_little_progress_is_kept(harness: Harness) -> None:
    link = RecordingLink(stalled=True)
    await harness.arrive(link=link)
    async with harness.reading():
        await harness.publish(100)
        for _ in range(100):
            harness.clock.move(20)
            link.take(10)
            await harness.settle()
            harness.clients.catch_up.sweep()

    assert link.endings == []


async def test_stalled_delayed_client_is_disconnected(harness: Harness) -> None:
    link = RecordingLink(stalled=True)
    late = Entitlement(min_delay_s=1)
    session, _ = await harness.arrive(link=link, entitled=late)
    async with harness.reading():
        for _ in range(33):
            await harness.publish()
            harness.clock.move(1)
            await harness.settle()
            harness.clients.catch_up.sweep()
            harness.clients.housekeeping.sweep()

    assert session.phase is Phase.CLOSED
    assert link.endings == [DisconnectReason.SLOW_CONSUMER]


async def test_slow_delayed_client_is_kept(harness: Harness) -> None:
    link = RecordingLink(stalled=True)
    await harness.arrive(link=link, entitled=Entitlement(min_delay_s=1))
    async with harness.reading():
        for _ in range(90):
            await harness.publish()
            harness.clock.move(1)
            await harness.settle()
            link.take(len(link.frames[-1]) // 2 if link.frames else 0)
            harness.clients.catch_up.sweep()

    assert link.endings == []


async def test_client_that_lags_too_far_is_disconnected(harness: Harness) -> None:
    link = RecordingLink(stalled=True)
    await harness.arrive(link=link)
    async with harness.reading():
        await harness.publish(LIMITS.delivery.max_lag_items)
        await harness.settle()
        harness.clients.catch_up.sweep()
        assert link.endings == []
        await harness.publish(100)
        harness.clients.catch_up.sweep()

    assert link.endings == [DisconnectReason.SLOW_CONSUMER]


async def test_items_pruned_before_slow_client_are_a_gap(harness: Harness) -> None:
    links = {word: RecordingLink(stalled=True) for word in ("v2", "classic")}
    for word, link in links.items():
        await harness.arrive(word, link=link, is_v2=word == "v2")
    async with harness.reading():
        await harness.publish(100)
        await harness.settle()
        await harness.stores.log.prune(0.0, 10, 1_000)
        for link in links.values():
            link.take()
        await harness.settle()

    [gap] = [message for message in links["v2"].messages if message["type"] == "gap"]
    before = [seq for seq in links["v2"].seqs if seq <= 90]
    assert before == list(range(1, gap["from_seq"]))
    assert (gap["to_seq"], gap["reason"]) == (90, "expired")
    assert links["v2"].seqs == [*before, *range(91, 101)]
    assert links["classic"].endings == [DisconnectReason.SLOW_CONSUMER]


async def test_reader_waits_if_all_broadcast_items_are_pruned(harness: Harness) -> None:
    await harness.publish(10)
    _, link = await harness.arrive(resume=at(harness, 0), is_v2=True)
    await harness.store(1)
    await harness.stores.log.prune(0.0, keep_items=1, limit=100)
    async with harness.reading():
        await harness.settle()
        assert link.kinds == ["welcome"]
        await harness.broadcast()
        harness.clock.move(0.01)
        await harness.settle()

    [gap] = [message for message in link.messages if message["type"] == "gap"]
    assert (gap["from_seq"], gap["to_seq"]) == (1, 10)
    assert link.seqs == [11]


async def test_stored_item_reaches_a_new_client_once(harness: Harness) -> None:
    await harness.publish(3)
    await harness.store(4)
    session, link = await harness.arrive(resume=at(harness, 5))
    async with harness.reading():
        await harness.settle()
        assert link.seqs == []
        await harness.broadcast(3)
        harness.clock.move(0.01)
        await harness.settle()
        await harness.broadcast()

    assert link.seqs == [6, 7]
    assert session.phase is Phase.LIVE


async def test_failed_log_read_is_retried(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.publish(5)
    read, failures = harness.stores.log.read, [1, 2]

    async def failing(after: int, limit: int) -> Sequence[Record]:
        if failures:
            failures.pop()
            raise ServerError(ErrorCode.OVERLOADED)
        return await read(after, limit)

    _, link = await harness.arrive(resume=at(harness, 0))
    monkeypatch.setattr(harness.stores.log, "read", failing)
    async with harness.reading():
        for _ in range(6):
            await harness.settle()
            harness.clock.move(0.5)
        await harness.settle()

    assert link.seqs == [1, 2, 3, 4, 5]


async def test_bug_during_replay_ends_only_that_connection(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.publish(5)
    _, healthy = await harness.arrive("a", resume=at(harness, 0))
    _, broken = await harness.arrive("b", resume=at(harness, 0))

    def write(_frame: bytes) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(broken, "write", write)
    async with harness.reading():
        await harness.settle()

    assert broken.endings == [DisconnectReason.INTERNAL_ERROR]
    assert healthy.seqs == [1, 2, 3, 4, 5]


async def test_item_that_fails_twice_is_a_gap(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.publish(3)
    session, link = await harness.arrive(resume=at(harness, 0), is_v2=True)
    _, classic = await harness.arrive("b")
    harness.live.rewind(harness.manager.sessions_of("b")[0], harness.manager.sessions_of("b")[0].channels, 0)
    matches, tries = ReplayFilter.matches, Counter[int]()

    def failing(judge: ReplayFilter, channel: Channel, record: Record, entitled: Entitlement) -> bool:
        tries[record.seq] += 1
        if record.seq == 2 or (record.seq == 3 and tries[3] == 1):
            raise RuntimeError("a bug")
        return matches(judge, channel, record, entitled)

    monkeypatch.setattr(ReplayFilter, "matches", failing)
    async with harness.reading():
        for _ in range(5):
            await harness.settle()
            harness.clock.move(0.1)

    gaps = [(gap["from_seq"], gap["to_seq"], gap["reason"]) for gap in link.messages if gap["type"] == "gap"]
    assert gaps == [(2, 2, "unreadable")]
    assert (link.seqs, session.phase) == ([1, 3], Phase.LIVE)
    assert classic.endings == [DisconnectReason.INTERNAL_ERROR]
    assert harness.stats.recovery.replay_errors == 2
    assert harness.stats.recovery.gap_items == 2


async def test_last_counts_items_whose_matching_fails(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.publish(3)
    monkeypatch.setattr(ReplayFilter, "matches", lambda *_arguments: 1 / 0)
    session, _ = await harness.arrive(resume=ResumeLast(2), is_v2=True)

    assert session.opened_seq == 1


async def test_broken_stored_filter_replays_nothing(harness: Harness) -> None:
    await harness.publish(3)
    _, link = await harness.arrive(wanted=MATCH_ALL, resume=at(harness, 0))
    harness.manager.open_sessions()[0].channels[0].filter = None
    async with harness.reading():
        await harness.settle()

    assert link.seqs == []


async def test_client_that_leaves_ends_its_reader(harness: Harness) -> None:
    await harness.publish(100)
    link = RecordingLink(stalled=True)
    session, _ = await harness.arrive(link=link, resume=at(harness, 0))
    async with harness.reading():
        await harness.settle()
        tasks = len(asyncio.all_tasks())
        harness.leave(session)
        await harness.settle()
        assert len(asyncio.all_tasks()) == tasks - 1


async def test_replay_without_matches_sends_checkpoints(harness: Harness) -> None:
    harness = Harness(LIMITS.with_values({"replays.page_items": 500}))
    await harness.publish(2_100, impact_score=1.0)
    _, link = await harness.arrive(wanted=Filter(impact_threshold=50), resume=at(harness, 0))
    async with harness.reading():
        for _ in range(20):
            await harness.settle()

    stands = [message["seq"] for message in link.messages if message["type"] == "keep_alive"]
    assert stands == [1_000, 2_000]


async def test_long_replays_are_metered_but_short_are_not() -> None:
    harness = Harness(LIMITS.with_values({"replays.unmetered_items": 10, "replays.max_long_per_min": 2}))
    await harness.publish(20)
    for _ in range(10):
        session, _ = await harness.arrive(resume=at(harness, 15))
        harness.leave(session)
    for _ in range(2):
        session, _ = await harness.arrive(resume=at(harness, 0))
        harness.leave(session)

    with pytest.raises(NewsError) as caught:
        await harness.arrive(resume=at(harness, 0))
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert caught.value.retry_after_s == 30.0
    harness.clock.move(30)
    await harness.arrive(resume=at(harness, 0))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.integers(1, 30)),
        st.tuples(st.just("broadcast"), st.integers(1, 30)),
        st.tuples(st.just("together"), st.just(0)),
        st.tuples(st.just("prune"), st.integers(1, 40)),
        st.tuples(st.just("yield"), st.integers(1, 12)),
        st.tuples(st.just("take"), st.integers(1, 3_000)),
        st.tuples(st.just("stall"), st.just(0)),
        st.tuples(st.just("flow"), st.just(0)),
        st.tuples(st.just("move"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, before=st.integers(0, 40), resumes_at=st.integers(0, 40), threshold=st.sampled_from([0, 50]))
def test_replay_and_live_join_without_gap_or_repeat(
    steps: list[tuple[str, int]], before: int, resumes_at: int, threshold: int
) -> None:
    asyncio.run(_live_through(steps, before, min(resumes_at, before), threshold))


async def _live_through(steps: list[tuple[str, int]], before: int, resumes_at: int, threshold: int) -> None:
    life = _Life(resumes_at, threshold)
    await life.store(before)
    await life.harness.broadcast(before // 2 or None)
    wants = Filter(impact_threshold=threshold)
    await life.harness.arrive(wanted=wants, link=life.link, resume=at(life.harness, resumes_at), is_v2=True)
    async with life.harness.reading():
        for word, amount in steps:
            await life.do(word, amount)
        await life.harness.come_to_rest(life.link)

    gone = {seq for gap in life.gaps() for seq in range(gap["from_seq"], gap["to_seq"] + 1)}
    assert life.link.endings == []
    assert life.link.seqs == [seq for seq in life.wanted if seq not in gone]


class _Life:
    """A harness with one client, and the items that it must get: those after its resume position that reach the
    threshold.
    """

    def __init__(self, resumes_at: int, threshold: int) -> None:
        self.harness, self.link = Harness(LIMITS), RecordingLink()
        self.resumes_at, self.threshold = resumes_at, threshold
        self.wanted: list[int] = []

    def gaps(self) -> list[dict[str, Any]]:
        return [message for message in self.link.messages if message["type"] == "gap"]

    async def do(self, word: str, amount: int) -> None:
        if word == "store":
            await self.store(amount)
        elif word == "prune":
            await Retention(self.harness.stores, self.harness.live, self.harness.clock, 1e9, amount).prune()
        elif word == "broadcast":
            await self.harness.broadcast(amount)
        elif word == "together" and self.harness.live.position < self.harness.published:
            await self.harness.broadcast_together()
        elif word == "yield":
            for _ in range(amount):
                await asyncio.sleep(0)
        else:
            self.change(word, amount)

    def change(self, word: str, amount: int) -> None:
        if word == "take":
            self.link.take(min(amount, self.link.untaken))
        elif word == "stall":
            self.link.stalled = True
        elif word == "flow":
            self.link.take()
        else:
            self.harness.clock.move(0.1)

    async def store(self, count: int) -> None:
        for _ in range(count):
            impact = (self.harness.published * 37) % 100
            await self.harness.store(1, impact_score=float(impact))
            if impact >= self.threshold and self.harness.published > self.resumes_at:
                self.wanted.append(self.harness.published)
