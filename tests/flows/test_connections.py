"""Admission, register and live set with a test clock and recording links."""

import asyncio

import pytest

from app.adapters.data.vocabularies import load_vocabularies
from app.core.delivery.phases import Phase
from app.core.errors import ErrorCode, NewsError
from app.core.filters.filter import Filter
from app.core.limits import Limits
from app.core.news.enrichment import Enricher
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.in_flight import Outgoing
from app.flows.news.process import IncomingItem, NewsProcessor
from app.flows.operations import send_buffers
from app.flows.operations.shutdown import Shutdown
from app.ports.log import Record
from app.telemetry.labels import Beat, Sent, SlowAction
from tests.support.harness import Harness
from tests.support.items import item
from tests.support.link import RecordingLink

LIMITS = Limits().with_values(
    {"connections.max_total": 4, "connections.max_per_user": 2, "delivery.write_high_water_bytes": 200}
)
TABLES = load_vocabularies()
PING = frames.ping_frame(b"")


async def drain(harness: Harness) -> None:
    """Close all connections, while time passes."""
    queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
    processor = NewsProcessor(
        harness.stores.log, queue, Enricher(TABLES, str), harness.limits.publishing, harness.clock, harness.stats
    )
    way = Shutdown(
        processor,
        harness.broadcaster,
        harness.admission,
        harness.live,
        harness.clients.resolver,
        harness.limits.shutdown,
        harness.clock,
    )
    way.begin()
    closing = asyncio.create_task(way.close_all())
    while not closing.done():
        await asyncio.sleep(0)
        harness.clock.move(0.1)
    await closing


@pytest.fixture
def harness() -> Harness:
    return Harness(LIMITS)


def test_all_matching_connections_get_the_same_bytes(harness: Harness) -> None:
    links = [harness.join(user)[1] for user in "abc"]
    _, picky = harness.join("d", Filter(impact_threshold=100))

    harness.write_item()

    assert all(link.frames == [frames.text_frame(b"x" * 50)] for link in links)
    assert picky.frames == []
    assert harness.stats.broadcast.sends[Sent.WRITTEN] == 3
    assert sum(harness.stats.broadcast.decisions.values()) == 4


def test_place_is_freed_once(harness: Harness) -> None:
    session, _ = harness.join()

    harness.manager.release(session, DisconnectReason.CLIENT)
    harness.manager.release(session, DisconnectReason.NETWORK)

    assert len(harness.manager) == harness.admission.users == len(harness.live.index) == 0
    assert harness.stats.connections.opened == 1
    assert harness.stats.connections.closed == {DisconnectReason.CLIENT: 1}


def test_unused_place_is_freed_without_a_trace(harness: Harness) -> None:
    session = harness.admission.admit("u")

    harness.manager.release(session, DisconnectReason.NETWORK)

    assert harness.admission.users == 0
    assert harness.stats.connections.opened == sum(harness.stats.connections.closed.values()) == 0


def test_slots_are_reused(harness: Harness) -> None:
    first, _ = harness.join("a")
    slot = first.channels[0].slot
    harness.manager.release(first, DisconnectReason.CLIENT)

    second, link = harness.join("b")
    harness.write_item()

    assert second.channels[0].slot == slot
    assert len(link.frames) == 1


def test_places_are_counted_before_connections_open(harness: Harness) -> None:
    harness.admission.admit("a")
    harness.admission.admit("a")
    with pytest.raises(NewsError) as third_of_a:
        harness.admission.admit("a")
    harness.admission.admit("b")
    harness.admission.admit("c")
    with pytest.raises(NewsError) as fifth:
        harness.admission.admit("d")

    assert third_of_a.value.code is ErrorCode.TOO_MANY_CONNECTIONS
    assert fifth.value.code is ErrorCode.AT_CAPACITY


def test_slow_client_falls_behind_without_delaying_others(harness: Harness) -> None:
    slow, link = harness.join("slow", stalled=True)
    _, healthy = harness.join("fast")

    for seq in range(1, 11):
        harness.write_item(seq)

    assert link.endings == []
    assert len(link.frames) == 4
    assert (slow.phase, slow.cursor) == (Phase.LAGGING, 4)
    assert len(healthy.frames) == 10
    assert harness.stats.connections.slow == {SlowAction.LAGGING: 1}
    assert send_buffers.count_phases(harness.manager) == {"replaying": 0, "live": 1, "lagging": 1}
    assert send_buffers.measure(harness.manager, harness.live) == (208, 208, 0, 6, 0)


async def test_connection_age_is_limited_with_reconnect_advice() -> None:
    harness = Harness(Limits())
    arrived = [await harness.arrive(f"u{number}", is_v2=True) for number in range(50)]
    await harness.publish(3)
    day_s = harness.limits.connections.max_age_s
    ended_at: dict[str, float] = {}
    for share in (0.89, *[0.01] * 12):
        harness.clock.move(share * day_s)
        for session, _link in arrived:
            session.last_received_at = harness.clock.monotonic()
        harness.clients.housekeeping.sweep()
        for session, link in arrived:
            if link.endings:
                ended_at.setdefault(session.id, harness.clock.monotonic() - session.opened_at)

    assert [link.endings for _, link in arrived] == [[DisconnectReason.LIFETIME]] * 50
    assert 0.9 * day_s <= min(ended_at.values()) <= max(ended_at.values()) <= 1.02 * day_s
    assert len(set(ended_at.values())) > 5
    advice = arrived[0][1].messages[-1]
    assert (advice["type"], advice["reason"]) == ("reconnect", "lifetime")
    assert advice["resume"] == f"{harness.stores.log.epoch}:3"
    assert 0 <= advice["after_ms"] <= 1_000


def test_silent_client_is_pinged_and_then_closed(harness: Harness) -> None:
    session, link = harness.join()

    harness.clock.move(14)
    harness.clients.housekeeping.sweep()
    assert PING not in link.frames
    harness.clock.move(2)
    harness.clients.housekeeping.sweep()
    harness.clients.housekeeping.sweep()
    assert link.frames.count(PING) == 1
    harness.clock.move(10)
    harness.clients.housekeeping.sweep()

    assert link.endings == [DisconnectReason.HEARTBEAT_TIMEOUT]
    assert session.disconnect_reason is DisconnectReason.HEARTBEAT_TIMEOUT
    assert len(harness.live.index) == 0
    harness.manager.release(session, session.disconnect_reason)
    assert harness.stats.connections.beats == {Beat.TIMEOUT: 1}


async def test_sweeps_are_spread_over_half_a_second() -> None:
    harness = Harness(Limits())
    links = [harness.join(f"u{number}")[1] for number in range(40)]
    harness.clock.move(16)
    sweeping = asyncio.create_task(harness.clients.housekeeping.run_sweeps())
    pinged = []
    for _ in range(5):
        await asyncio.sleep(0)
        harness.clock.move(0.1)
        await asyncio.sleep(0)
        pinged.append(sum(PING in link.frames for link in links))
    sweeping.cancel()

    assert pinged == list(range(8, 48, 8))


async def test_connection_opened_during_a_sweep_is_swept_soon() -> None:
    harness = Harness(Limits())
    sweeping = asyncio.create_task(harness.clients.housekeeping.run_sweeps())
    await asyncio.sleep(0)
    session, link = harness.join()
    session.last_received_at = session.pinged_at = harness.clock.monotonic() - harness.limits.heartbeats.interval_s
    for _ in range(10):
        await asyncio.sleep(0)
        harness.clock.move(0.1)
        await asyncio.sleep(0)
    sweeping.cancel()

    assert PING in link.frames


async def run_for(harness: Harness, seconds: float) -> None:
    for _ in range(round(seconds / 0.1)):
        await asyncio.sleep(0)
        harness.clock.move(0.1)
        await asyncio.sleep(0)


@pytest.mark.parametrize("silent_s", [0.0, 16.0, 20.0])
async def test_standstill_of_the_server_is_forgiven(silent_s: float) -> None:
    harness = Harness(Limits())
    session, link = harness.join()
    sweeping = asyncio.create_task(harness.clients.housekeeping.run_sweeps())
    await run_for(harness, silent_s)

    harness.clock.move(28)
    await run_for(harness, 9)
    assert link.endings == []
    assert link.frames.count(PING) == 1

    await run_for(harness, 3)
    sweeping.cancel()
    assert link.endings == [DisconnectReason.HEARTBEAT_TIMEOUT]
    assert session.disconnect_reason is DisconnectReason.HEARTBEAT_TIMEOUT


def test_client_that_answers_pings_stays(harness: Harness) -> None:
    session, link = harness.join()

    for _ in range(10):
        harness.clock.move(16)
        harness.clients.housekeeping.sweep()
        session.last_received_at = harness.clock.monotonic()

    assert link.frames.count(PING) == 10
    assert link.endings == []


def test_quiet_client_gets_a_keep_alive(harness: Harness) -> None:
    _, link = harness.join(wanted=Filter(impact_threshold=100))
    harness.write_item(seq=41)
    harness.clients.housekeeping.sweep()
    assert link.messages == []

    harness.clock.move(15)
    harness.clients.housekeeping.sweep()

    [message] = link.messages
    assert (message["type"], message["seq"], message["delivered"]) == ("keep_alive", 41, 0)
    assert message["feed"] == {"status": "ok", "last_item_age_ms": 15_000}
    harness.clock.move(5)
    harness.clients.housekeeping.sweep()
    assert len(link.messages) == 1


def test_checkpoint_comes_every_hundred_items() -> None:
    harness = Harness(Limits().with_values({"delivery.write_high_water_bytes": 10**9}))
    _, busy = harness.join("busy")
    _, idle = harness.join("idle", Filter(impact_threshold=100))

    for seq in range(1, 251):
        harness.write_item(seq, size=0)
        harness.clients.housekeeping.sweep()

    texts = [frame for frame in busy.frames if len(frame) > 2]
    assert len(texts) == 2
    assert b'"seq":100,"delivered":100' in texts[0]
    assert b'"seq":200,"delivered":100' in texts[1]
    assert [message["seq"] for message in idle.messages] == [100, 200]


def test_new_filter_reaches_tracking_connections(harness: Harness) -> None:
    follower, _ = harness.join()
    own, _ = harness.join()
    own.channels[0].tracks_stored = False

    harness.manager.apply_stored_filter("u", Filter(impact_threshold=100))

    assert list(harness.live.index.match(item()).recipients) == [own.channels[0].slot]
    assert follower.channels[0].filter == Filter(impact_threshold=100)


async def test_draining_closes_all_and_admits_none(harness: Harness) -> None:
    links = [harness.join(user)[1] for user in "abc"]

    await drain(harness)

    assert all(link.endings == [DisconnectReason.SHUTDOWN] for link in links)
    with pytest.raises(NewsError) as refused:
        harness.admission.admit("d")
    assert refused.value.code is ErrorCode.DRAINING


def test_latency_is_counted_once_per_send(harness: Harness) -> None:
    harness.join("a")
    harness.join("b")

    harness.write_item()

    assert harness.stats.broadcast.delivery.count == 2
    assert not harness.stats.broadcast.delivery.examples


def test_slow_delivery_records_its_trace(harness: Harness) -> None:
    harness.join("a")
    accepted_at = harness.clock.wall() - 0.2

    record = Record(1, accepted_at, item(), b"{}", trace_id="trace")
    harness.delivery.deliver(
        [Outgoing(record, frames.EncodedMessage(b"x"), harness.live.index.match(item()).recipients)]
    )

    [example] = harness.stats.broadcast.delivery.examples.values()
    assert example.labels == {"item_id": item().id, "trace_id": "trace"}
    assert example.value == pytest.approx(0.2)


def test_client_that_never_reads_answers_is_closed(harness: Harness) -> None:
    session, link = harness.join(stalled=True)

    for _ in range(20):
        harness.live.write(session, b"x" * 50)

    assert link.endings == [DisconnectReason.SLOW_CONSUMER]
    assert len(link.frames) == 9
    assert harness.stats.connections.slow == {SlowAction.LAGGING: 1, SlowAction.DISCONNECTED: 1}


def test_frame_for_a_closing_socket_is_not_written(harness: Harness) -> None:
    _, link = harness.join()
    link.is_closing = True

    harness.write_item()

    assert harness.stats.broadcast.sends == {Sent.WRITTEN: 0, Sent.CLOSED: 1, Sent.MERGED: 0, Sent.FAILED: 0}


async def test_place_that_opens_while_draining_ends_at_once(harness: Harness) -> None:
    session = harness.admission.admit("u")
    link = RecordingLink()

    await drain(harness)
    harness.manager.open(session, link)
    harness.write_item()

    assert link.endings == [DisconnectReason.SHUTDOWN]
    assert link.frames == []
    harness.manager.release(session, DisconnectReason.NETWORK)
    assert harness.stats.connections.closed == {DisconnectReason.SHUTDOWN: 1}


def test_connections_are_counted_by_filter(harness: Harness) -> None:
    harness.join("a")
    harness.join("b", Filter(impact_threshold=5))
    harness.manager.open(harness.admission.admit("c"), RecordingLink())

    assert harness.live.index.kinds() == {"filtered": 1, "unfiltered": 1, "broken": 1}
    assert send_buffers.measure(harness.manager, harness.live) == (0, 0, 0, 0, 0)


def test_takeover_delivers_each_item_exactly_once(harness: Harness) -> None:
    first, old = harness.join(device_id="laptop")
    harness.write_item(1)
    _, new = harness.join(device_id="laptop")
    harness.write_item(2)

    assert (len(old.frames), len(new.frames)) == (1, 1)
    assert old.endings == [DisconnectReason.REPLACED]
    harness.manager.release(first, DisconnectReason.NETWORK)
    assert harness.stats.connections.closed == {DisconnectReason.REPLACED: 1}
    assert len(harness.manager) == 1


def test_returning_device_replaces_itself_at_the_limit(harness: Harness) -> None:
    harness.join(device_id="laptop")
    harness.join(device_id="phone")

    harness.join(device_id="laptop")

    with pytest.raises(NewsError) as caught:
        harness.join(device_id="tablet")
    assert caught.value.code is ErrorCode.TOO_MANY_CONNECTIONS


def test_failed_handshake_frees_its_place(harness: Harness) -> None:
    _, old = harness.join(device_id="laptop")

    session = harness.admission.admit("u", "laptop")
    harness.manager.release(session, DisconnectReason.NETWORK)
    harness.write_item()

    assert old.endings == []
    assert len(old.frames) == 1


def test_same_device_of_another_user_is_independent(harness: Harness) -> None:
    _, theirs = harness.join("a", device_id="laptop")

    harness.join("b", device_id="laptop")

    assert theirs.endings == []


def test_one_per_user_replaces_the_connection() -> None:
    harness = Harness(
        LIMITS.with_values(
            {"connections.one_per_user": True, "connections.max_per_user": 1, "connections.max_total": 1}
        )
    )
    _, first = harness.join()
    _, second = harness.join()

    assert first.endings == [DisconnectReason.REPLACED]
    assert second.endings == []
    with pytest.raises(NewsError) as caught:
        harness.join("other")
    assert caught.value.code is ErrorCode.AT_CAPACITY


def test_user_at_limit_gets_ghosts_probed(harness: Harness) -> None:
    _, ghost_link = harness.join()
    alive, alive_link = harness.join()
    harness.clock.move(1)

    for _ in range(3):
        with pytest.raises(NewsError, match="already has 2 connections"):
            harness.join()
    assert ghost_link.frames == alive_link.frames == [PING]
    harness.clock.move(0.5)
    alive.last_received_at = harness.clock.monotonic()
    harness.clock.move(LIMITS.heartbeats.liveness_probe_timeout_s)
    harness.clients.housekeeping.sweep()

    assert ghost_link.endings == [DisconnectReason.HEARTBEAT_TIMEOUT]
    assert alive_link.endings == []
    harness.join()


def test_earlier_opened_of_two_handshakes_stays(harness: Harness) -> None:
    late = harness.admission.admit("u", "laptop")
    _, first = harness.join(device_id="laptop")
    late_link = RecordingLink()

    harness.manager.open(late, late_link)
    harness.write_item()

    assert (first.endings, late_link.endings) == ([], [DisconnectReason.REPLACED])
    assert (len(first.frames), len(late_link.frames)) == (1, 0)
