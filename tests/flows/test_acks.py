"""At least once: unacknowledged items are sent again, and a device continues after its last ack."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.delivery.ack_window import AckResult
from app.core.delivery.phases import Phase
from app.core.errors import ErrorCode, ServerError
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.session import Session
from app.ports.stores import Cursor
from app.telemetry.labels import Redelivery, SlowAction
from tests.support.harness import Harness
from tests.support.link import RecordingLink

LIMITS = Limits().with_values(
    {"delivery.ack_timeout_s": 15.0, "delivery.max_redeliveries": 3, "delivery.ack_window_items": 5}
)


@pytest.fixture
def harness() -> Harness:
    return Harness(LIMITS)


async def arrive(harness: Harness, device_id: str = "laptop") -> tuple[Session, RecordingLink]:
    return await harness.arrive(device_id=device_id, uses_acks=True, is_v2=True)


async def restarted(harness: Harness) -> Harness:
    """Return a server that has only what the first one's stores have."""
    return Harness(harness.limits, harness.stores)


async def test_ack_with_id_is_answered_and_measured(harness: Harness) -> None:
    session, link = await arrive(harness)
    await harness.publish(3)
    harness.clock.move(2)

    await harness.send(session, {"type": "ack", "seq": 2, "id": 1})
    await harness.send(session, {"type": "ack", "seq": 2})

    assert link.messages[-1] == {"type": "acked", "id": 1, "seq": 2}
    assert session.window is not None
    assert len(session.window) == 1
    assert harness.stats.recovery.acks == {AckResult.OK: 1, AckResult.DUPLICATE: 1}
    assert harness.stats.recovery.ack_times.total == 2.0


async def test_ack_for_unsent_item_is_an_error(harness: Harness) -> None:
    session, link = await arrive(harness)
    await harness.publish(3)

    await harness.send(session, {"type": "ack", "seq": 4, "id": 1})

    error = link.messages[-1]
    assert (error["type"], error["code"], error["id"]) == ("error", "invalid_message", 1)
    assert error["errors"] == [{"pointer": "/seq", "detail": "must be at most 3"}]
    assert harness.stats.recovery.acks == {AckResult.UNKNOWN: 1}


async def test_ack_without_ack_mode_is_an_error(harness: Harness) -> None:
    session, link = await harness.arrive()

    await harness.send(session, {"type": "ack", "seq": 0})

    assert link.messages[-1]["code"] == "invalid_message"


async def marked(harness: Harness, link: RecordingLink) -> dict[int, bool]:
    """Let a client read the log, and return the seqs that it is sent, each with whether it is marked as sent before."""
    async with harness.reading():
        await harness.settle()
    return {message["seq"]: "redelivered" in message for message in link.messages if message["type"] == "news_item"}


async def test_items_sent_before_a_kill_are_marked(harness: Harness) -> None:
    await arrive(harness)
    await harness.publish(3)

    after = await restarted(harness)
    after.published = 3
    await after.publish(1)
    _, link = await arrive(after)

    assert await marked(after, link) == {1: True, 2: True, 3: True, 4: False}


async def test_items_missed_before_a_restart_are_not_marked(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.publish(2)
    harness.leave(session)
    await harness.publish(2)
    await harness.clients.acks.flush()

    after = await restarted(harness)
    _, link = await arrive(after)

    assert await marked(after, link) == {1: True, 2: True, 3: False, 4: False}


async def test_reconnected_device_is_in_doubt_after_a_kill(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.publish(1)
    harness.leave(session)
    await harness.clients.acks.flush()
    await arrive(harness)
    await harness.publish(1)

    after = await restarted(harness)
    _, link = await arrive(after)

    assert await marked(after, link) == {1: True, 2: True}


async def test_unacknowledged_item_is_redelivered_with_a_mark(harness: Harness) -> None:
    session, link = await arrive(harness)
    async with harness.reading():
        await harness.publish(3)
        await harness.send(session, {"type": "ack", "seq": 1})
        harness.clock.move(15.1)
        harness.redeliver()
        await harness.settle()
        await harness.publish()

    assert link.seqs == [1, 2, 3, 2, 3, 4]
    again = [message["seq"] for message in link.messages if message.get("redelivered")]
    assert again == [2, 3]
    assert session.phase is Phase.LIVE
    assert harness.stats.recovery.redelivered == {Redelivery.TIMEOUT: 2}


async def test_redeliveries_are_counted_despite_a_partial_ack(
    harness: Harness,
) -> None:
    session, link = await arrive(harness)
    async with harness.reading():
        await harness.publish(5)
        harness.clock.move(15.1)
        harness.redeliver()
        await harness.send(session, {"type": "ack", "seq": 1})
        await harness.settle()

    assert link.seqs == [1, 2, 3, 4, 5, 2, 3, 4, 5]
    assert harness.stats.recovery.redelivered == {Redelivery.TIMEOUT: 4}


async def test_item_that_fills_the_buffer_awaits_ack_too(harness: Harness) -> None:
    harness = Harness(LIMITS.with_values({"delivery.write_high_water_bytes": 100}))
    link = RecordingLink(stalled=True)
    session, _ = await harness.arrive(link=link, device_id="laptop", uses_acks=True)

    await harness.publish()

    assert session.phase is Phase.LAGGING
    assert session.window is not None
    assert (len(session.window), session.window.sent) == (1, 1)


async def test_client_that_never_acks_is_disconnected(harness: Harness) -> None:
    _, link = await arrive(harness)
    async with harness.reading():
        await harness.publish(2)
        for _ in range(4):
            assert link.endings == []
            harness.clock.move(15.1)
            harness.redeliver()
            await harness.settle()

    assert link.endings == [DisconnectReason.ACK_TIMEOUT]
    assert link.seqs == [1, 2] * 4
    assert harness.stats.recovery.redeliveries_exhausted == 1


async def test_ack_resets_the_attempts(harness: Harness) -> None:
    session, link = await arrive(harness)
    async with harness.reading():
        await harness.publish(2)
        for seq in (1, 2):
            for _ in range(3):
                harness.clock.move(15.1)
                harness.redeliver()
                await harness.settle()
            await harness.send(session, {"type": "ack", "seq": seq})

    assert link.endings == []
    assert harness.stats.recovery.acks == {AckResult.LATE: 2}


async def test_full_window_gets_nothing_until_acked(harness: Harness) -> None:
    session, link = await arrive(harness)
    async with harness.reading():
        await harness.publish(12)
        await harness.settle()
        assert link.seqs == [1, 2, 3, 4, 5]
        await harness.send(session, {"type": "ack", "seq": 3})
        await harness.settle()
        assert link.seqs == [1, 2, 3, 4, 5, 6, 7, 8]
        await harness.send(session, {"type": "ack", "seq": 8})
        await harness.settle()

    assert link.seqs == list(range(1, 13))
    assert session.phase is Phase.LIVE
    assert harness.stats.connections.slow == {SlowAction.WINDOW_FULL: 1, SlowAction.CAUGHT_UP: 1}


async def test_returning_device_continues_after_its_last_ack(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.publish(3)
    await harness.send(session, {"type": "ack", "seq": 2})
    harness.leave(session)
    await harness.publish(2)
    _, link = await arrive(harness)
    async with harness.reading():
        await harness.settle()

    assert link.seqs == [3, 4, 5]
    assert [message["seq"] for message in link.messages if message.get("redelivered")] == [3]
    assert link.messages[0]["recovered"] is True
    assert harness.stats.recovery.redelivered == {Redelivery.RECONNECT: 1}


async def test_takeover_continues_where_the_old_connection_was(harness: Harness) -> None:
    session, old = await arrive(harness)
    await harness.publish(4)
    await harness.send(session, {"type": "ack", "seq": 3})
    _, new = await arrive(harness)
    async with harness.reading():
        await harness.settle()
        await harness.publish()

    assert old.messages[-1]["type"] == "preempted"
    assert old.endings == [DisconnectReason.REPLACED]
    assert old.seqs == [1, 2, 3, 4]
    assert new.seqs == [4, 5]


async def test_closed_connection_does_not_disturb_its_successor(harness: Harness) -> None:
    old, _ = await arrive(harness)
    await harness.publish(3)
    new, link = await arrive(harness)
    async with harness.reading():
        await harness.settle()
        harness.leave(old)
        await harness.publish()

    assert old.window is not None
    assert len(old.window) == 0
    assert new.window is not None
    assert len(new.window) == 4
    assert link.seqs == [1, 2, 3, 4]


async def test_acking_every_item_of_a_burst_is_allowed(harness: Harness) -> None:
    harness = Harness(LIMITS.with_values({"delivery.ack_window_items": 1_000}))
    session, link = await arrive(harness)
    await harness.publish(300)

    for seq in range(1, 301):
        harness.clients.dispatcher.on_message(session, f'{{"type":"ack","seq":{seq}}}')
    await harness.settle()
    for _ in range(61):
        harness.clients.dispatcher.on_message(session, '{"type":"ack","seq":300}')

    assert harness.stats.recovery.acks[AckResult.OK] == 300
    assert link.endings == [DisconnectReason.RATE_LIMITED]


async def test_unanswered_acks_are_exempt_only_once(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.publish(3)

    for _ in range(2):
        for seq in (1, 2, 3):
            harness.clients.dispatcher.on_message(session, f'{{"type":"ack","seq":{seq}}}')

    assert session.inbox is not None
    assert session.inbox.take(harness.clock.monotonic(), LIMITS.messages) == LIMITS.messages.burst - 4


@pytest.mark.parametrize("frame", ["ping", '{"type":"list"}', '{"type":"ack","seq":0}'])
async def test_delivered_items_exempt_acks_and_nothing_else(harness: Harness, frame: str) -> None:
    harness = Harness(LIMITS.with_values({"delivery.ack_window_items": 1_000}))
    session, link = await arrive(harness)
    await harness.publish(300)

    for _ in range(61):
        if frame == "ping":
            harness.clients.dispatcher.on_ping(session, b"")
        else:
            harness.clients.dispatcher.on_message(session, frame)

    assert link.endings == [DisconnectReason.RATE_LIMITED]


async def test_explain_reports_acked_and_unsent_items(harness: Harness) -> None:
    session, link = await arrive(harness)
    await harness.publish(2)
    await harness.store(1)
    await harness.send(session, {"type": "ack", "seq": 1})
    records = await harness.stores.log.read(0, 3)

    for record in records:
        await harness.send(session, {"type": "explain", "item": record.item.id})

    told = [message for message in link.messages if message["type"] == "explanation"]
    assert [one["connections"][0]["state"] for one in told] == ["acked", "written", "pending"]


async def test_devices_have_their_own_cursors(harness: Harness) -> None:
    laptop, _ = await arrive(harness)
    phone, _ = await arrive(harness, "phone")
    await harness.publish(3)
    await harness.send(laptop, {"type": "ack", "seq": 3})
    for session in (laptop, phone):
        harness.leave(session)
    _, laptop_link = await arrive(harness)
    _, phone_link = await arrive(harness, "phone")
    async with harness.reading():
        await harness.settle()

    assert laptop_link.seqs == []
    assert phone_link.seqs == [1, 2, 3]


async def test_restart_keeps_flushed_acks(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.publish(4)
    await harness.send(session, {"type": "ack", "seq": 3})
    await harness.clients.acks.flush()

    harness = await restarted(harness)
    _, link = await arrive(harness)
    async with harness.reading():
        await harness.settle()

    assert link.seqs == [4]


async def test_crash_before_flush_repeats_and_skips_nothing(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.clients.acks.flush()
    await harness.publish(4)
    await harness.send(session, {"type": "ack", "seq": 3})

    harness = await restarted(harness)
    _, link = await arrive(harness)
    async with harness.reading():
        await harness.settle()

    assert link.seqs == [1, 2, 3, 4]


@pytest.mark.parametrize("resumes_at", [None, 2])
async def test_crash_after_first_connect_loses_nothing(harness: Harness, resumes_at: int | None) -> None:
    await harness.publish(4)
    asked = None if resumes_at is None else harness.clients.resolver.position(resumes_at)
    await harness.arrive(device_id="laptop", uses_acks=True, resume=asked)
    await harness.publish(2)

    harness = await restarted(harness)
    _, link = await arrive(harness)
    async with harness.reading():
        await harness.settle()

    assert link.seqs == [5, 6] if resumes_at is None else [3, 4, 5, 6]


async def test_failed_cursor_writes_are_retried(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    session, _ = await arrive(harness)
    await harness.publish(2)
    await harness.send(session, {"type": "ack", "seq": 1})

    async def refuse(_cursors: Sequence[Cursor]) -> None:
        raise ServerError(ErrorCode.STORAGE_FULL)

    with monkeypatch.context() as full:
        full.setattr(harness.stores.cursors, "save", refuse)
        await harness.clients.acks.flush()
    before = await harness.stores.cursors.load("u", "laptop")
    await harness.clients.acks.flush()

    stored = await harness.stores.cursors.load("u", "laptop")
    assert before is not None
    assert stored is not None
    assert (before.position.seq, stored.position.seq) == (0, 1)


async def test_cursor_of_another_log_is_a_gap(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.publish(2)
    await harness.send(session, {"type": "ack", "seq": 1})
    await harness.clients.acks.flush()
    other = Harness(LIMITS)
    await other.publish(7)

    again = Harness(LIMITS, other.stores._replace(cursors=harness.stores.cursors))
    _, link = await arrive(again)

    welcome, gap, live = link.messages
    assert (welcome["recovered"], welcome["reason"]) == (False, "epoch_changed")
    assert (gap["from_seq"], gap["to_seq"]) == (1, 7)
    assert (live["type"], live["seq"], live["replayed"]) == ("live", 7, 0)


async def test_resume_position_overrides_the_cursor(harness: Harness) -> None:
    session, _ = await arrive(harness)
    await harness.publish(5)
    await harness.send(session, {"type": "ack", "seq": 4})
    harness.leave(session)
    asked = harness.clients.resolver.position(2)
    _, link = await harness.arrive(device_id="laptop", uses_acks=True, resume=asked)
    async with harness.reading():
        await harness.settle()

    assert link.seqs == [3, 4, 5]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 12)),
        st.tuples(st.just("store"), st.integers(1, 5)),
        st.tuples(st.just("yield"), st.integers(1, 30)),
        st.tuples(st.just("ack"), st.integers(0, 3)),
        st.tuples(st.just("time"), st.integers(1, 20)),
        st.tuples(st.just("leave"), st.just(0)),
        st.tuples(st.just("come again"), st.just(0)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("crash"), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_items_arrive_at_least_once_in_order(steps: list[tuple[str, int]]) -> None:
    asyncio.run(_live_through(steps))


async def _live_through(steps: list[tuple[str, int]]) -> None:
    life = _Life()
    await life.come()
    for word, amount in steps:
        await life.do(word, amount)
    await life.come()
    for _ in range(60):
        await life.do("publish", 0)
        await life.do("ack", 0)
        await life.do("yield", 30)
    life.reader.cancel()

    # In order for each connection, and over all connections nothing is missing.
    assert set(life.got) == set(range(1, life.harness.published + 1))
    for link in life.links:
        firsts = list(dict.fromkeys(link.seqs))
        assert firsts == sorted(firsts)


class _Life:
    """A device whose server may be killed: what it received, over all of its connections."""

    def __init__(self) -> None:
        self.harness = Harness(LIMITS.with_values({"delivery.max_redeliveries": 1_000}))
        self.links: list[RecordingLink] = []
        self.session: Session | None = None
        self.reader = asyncio.create_task(self.harness.clients.catch_up.run())

    @property
    def got(self) -> list[int]:
        return [seq for link in self.links for seq in link.seqs]

    async def come(self) -> None:
        self.session, link = await arrive(self.harness)
        self.links.append(link)

    async def do(self, word: str, amount: int) -> None:
        match word:
            case "publish":
                await self.harness.store(amount) if amount else None
                await self.harness.broadcast()
            case "store":
                await self.harness.store(amount)
            case "yield":
                for _ in range(amount):
                    await asyncio.sleep(0)
            case "ack" if self.session is not None and self.links[-1].seqs:
                seq = max(self.links[-1].seqs[-1] - amount, 0)
                await self.harness.send(self.session, {"type": "ack", "seq": seq})
            case "time":
                self.harness.clock.move(amount)
                self.harness.redeliver()
            case _:
                await self.befall(word)

    async def befall(self, word: str) -> None:
        if word == "flush":
            await self.harness.clients.acks.flush()
        elif word == "come again":
            await self.come()
        elif word == "leave" and self.session is not None:
            self.harness.leave(self.session)
            self.session = None
        elif word == "crash":
            self.reader.cancel()
            published, now = self.harness.published, self.harness.clock.wall()
            self.harness = Harness(self.harness.limits, self.harness.stores)
            self.harness.published = published
            self.harness.clock.move(now - self.harness.clock.wall())
            self.session = None
            self.reader = asyncio.create_task(self.harness.clients.catch_up.run())
