"""ConnectionManager with hand-set time and recording links."""

import asyncio

import pytest

from app.adapters.data.vocabularies import load_vocabularies
from app.core.delivery.phases import Phase
from app.core.errors import ErrorCode, NewsError
from app.core.filters.filter import Filter
from app.core.limits import Limits
from app.core.protocol import frames
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.fanout import Outgoing
from app.flows.news.process import IncomingItem, NewsProcessor
from app.flows.operations import send_buffers
from app.flows.operations.shutdown import Shutdown
from app.ports.log import Record
from app.telemetry.labels import Beat, Sent, SlowAction
from tests.support.hall import Hall, join
from tests.support.items import item
from tests.support.link import RecordingLink

LIMITS = Limits(connections=4, connections_per_user=2, write_buffer_bytes=200)
TABLES = load_vocabularies()
PING = frames.ping_frame(b"")


async def drain(hall: Hall) -> None:
    """Send everybody home; time goes on meanwhile."""
    queue: asyncio.Queue[IncomingItem] = asyncio.Queue()
    processor = NewsProcessor(hall.stores.log, queue, TABLES, str, hall.limits, hall.clock, hall.stats)
    way = Shutdown(processor, hall.broadcaster, hall.connections, hall.clients.resumption, hall.limits, hall.clock)
    way.begin()
    closing = asyncio.create_task(way.close_all())
    while not closing.done():
        await asyncio.sleep(0)
        hall.clock.move(0.1)
    await closing


@pytest.fixture
def hall() -> Hall:
    return Hall(LIMITS)


def test_everybody_who_matches_gets_the_same_bytes(hall: Hall) -> None:
    links = [join(hall.connections, user)[1] for user in "abc"]
    _, picky = join(hall.connections, "d", Filter(impact_threshold=100))

    hall.write_item()

    assert all(link.frames == [frames.text_frame(b"x" * 50)] for link in links)
    assert picky.frames == []
    assert hall.stats.sends[Sent.WRITTEN] == 3
    assert sum(hall.stats.decisions.values()) == 4


def test_a_place_is_given_back_once(hall: Hall) -> None:
    session, _ = join(hall.connections)

    hall.connections.release(session, DisconnectReason.CLIENT)
    hall.connections.release(session, DisconnectReason.NETWORK)

    assert len(hall.connections) == hall.connections.users == len(hall.connections.index) == 0
    assert hall.stats.opened == 1
    assert hall.stats.closed == {DisconnectReason.CLIENT: 1}


def test_an_unused_seat_is_given_back_without_a_trace(hall: Hall) -> None:
    session = hall.connections.admit("u")

    hall.connections.release(session, DisconnectReason.NETWORK)

    assert hall.connections.users == 0
    assert hall.stats.opened == sum(hall.stats.closed.values()) == 0


def test_slots_are_used_again(hall: Hall) -> None:
    first, _ = join(hall.connections, "a")
    slot = first.channels[0].slot
    hall.connections.release(first, DisconnectReason.CLIENT)

    second, link = join(hall.connections, "b")
    hall.write_item()

    assert second.channels[0].slot == slot
    assert len(link.frames) == 1


def test_seats_are_counted_before_connections_open(hall: Hall) -> None:
    hall.connections.admit("a")
    hall.connections.admit("a")
    with pytest.raises(NewsError) as third_of_a:
        hall.connections.admit("a")
    hall.connections.admit("b")
    hall.connections.admit("c")
    with pytest.raises(NewsError) as fifth:
        hall.connections.admit("d")

    assert third_of_a.value.code is ErrorCode.TOO_MANY_CONNECTIONS
    assert fifth.value.code is ErrorCode.AT_CAPACITY


def test_a_client_that_takes_nothing_falls_behind_and_delays_nobody(hall: Hall) -> None:
    slow, link = join(hall.connections, "slow", stalled=True)
    _, healthy = join(hall.connections, "fast")

    for seq in range(1, 11):
        hall.write_item(seq)

    assert link.endings == []
    assert len(link.frames) == 4
    assert (slow.phase, slow.cursor) == (Phase.LAGGING, 4)
    assert len(healthy.frames) == 10
    assert hall.stats.slow == {SlowAction.LAGGING: 1}
    assert send_buffers.count_phases(hall.connections) == {"replaying": 0, "live": 1, "lagging": 1}
    assert send_buffers.measure(hall.connections) == (208, 208, 0, 6, 0)


async def test_a_connection_lasts_a_day_less_up_to_a_tenth_and_is_told_where_to_go_on() -> None:
    hall = Hall(Limits())
    arrived = [await hall.arrive(f"u{number}", is_v2=True) for number in range(50)]
    await hall.publish(3)
    day_s = hall.limits.connection_life_s
    ended_at: dict[str, float] = {}
    for share in (0.89, *[0.01] * 12):
        hall.clock.move(share * day_s)
        for session, _link in arrived:
            session.last_received_at = hall.clock.monotonic()
        hall.clients.upkeep.sweep()
        for session, link in arrived:
            if link.endings:
                ended_at.setdefault(session.id, hall.clock.monotonic() - session.opened_at)

    assert [link.endings for _, link in arrived] == [[DisconnectReason.LIFETIME]] * 50
    assert 0.9 * day_s <= min(ended_at.values()) <= max(ended_at.values()) <= 1.02 * day_s
    assert len(set(ended_at.values())) > 5
    farewell = arrived[0][1].messages[-1]
    assert (farewell["type"], farewell["reason"]) == ("reconnect", "lifetime")
    assert farewell["resume"] == f"{hall.stores.log.epoch}:3"
    assert 0 <= farewell["after_ms"] <= 1_000


def test_silence_is_answered_with_a_ping_and_then_with_the_end(hall: Hall) -> None:
    session, link = join(hall.connections)

    hall.clock.move(14)
    hall.clients.upkeep.sweep()
    assert PING not in link.frames
    hall.clock.move(2)
    hall.clients.upkeep.sweep()
    hall.clients.upkeep.sweep()
    assert link.frames.count(PING) == 1
    hall.clock.move(10)
    hall.clients.upkeep.sweep()

    assert link.endings == [DisconnectReason.HEARTBEAT_TIMEOUT]
    assert session.ending is DisconnectReason.HEARTBEAT_TIMEOUT
    assert len(hall.connections.index) == 0
    hall.connections.release(session, session.ending)
    assert hall.stats.beats == {Beat.TIMEOUT: 1}


async def test_everybody_is_looked_after_within_half_a_second_and_never_all_at_once() -> None:
    hall = Hall(Limits())
    links = [join(hall.connections, f"u{number}")[1] for number in range(40)]
    hall.clock.move(16)
    sweeping = asyncio.create_task(hall.clients.upkeep.run_sweeps())
    pinged = []
    for _ in range(5):
        await asyncio.sleep(0)
        hall.clock.move(0.1)
        await asyncio.sleep(0)
        pinged.append(sum(PING in link.frames for link in links))
    sweeping.cancel()

    assert pinged == list(range(8, 48, 8))


async def test_who_comes_when_a_sweep_has_begun_is_looked_after_within_a_second() -> None:
    hall = Hall(Limits())
    sweeping = asyncio.create_task(hall.clients.upkeep.run_sweeps())
    await asyncio.sleep(0)
    session, link = join(hall.connections)
    session.last_received_at = session.pinged_at = hall.clock.monotonic() - hall.limits.heartbeat_s
    for _ in range(10):
        await asyncio.sleep(0)
        hall.clock.move(0.1)
        await asyncio.sleep(0)
    sweeping.cancel()

    assert PING in link.frames


def test_who_answers_lives_on(hall: Hall) -> None:
    session, link = join(hall.connections)

    for _ in range(10):
        hall.clock.move(16)
        hall.clients.upkeep.sweep()
        session.last_received_at = hall.clock.monotonic()

    assert link.frames.count(PING) == 10
    assert link.endings == []


def test_a_quiet_client_gets_a_keep_alive_that_says_where_it_stands(hall: Hall) -> None:
    _, link = join(hall.connections, wants=Filter(impact_threshold=100))
    hall.write_item(seq=41)
    hall.clients.upkeep.sweep()
    assert link.messages == []

    hall.clock.move(15)
    hall.clients.upkeep.sweep()

    [message] = link.messages
    assert (message["type"], message["seq"], message["delivered"]) == ("keep_alive", 41, 0)
    assert message["feed"] == {"status": "ok", "last_item_age_ms": 15_000}
    hall.clock.move(5)
    hall.clients.upkeep.sweep()
    assert len(link.messages) == 1


def test_a_checkpoint_comes_at_least_every_hundred_items() -> None:
    hall = Hall(Limits(write_buffer_bytes=10**9))
    _, busy = join(hall.connections, "busy")
    _, idle = join(hall.connections, "idle", Filter(impact_threshold=100))

    for seq in range(1, 251):
        hall.write_item(seq, size=0)
        hall.clients.upkeep.sweep()

    texts = [frame for frame in busy.frames if len(frame) > 2]
    assert len(texts) == 2
    assert b'"seq":100,"delivered":100' in texts[0]
    assert b'"seq":200,"delivered":100' in texts[1]
    assert [message["seq"] for message in idle.messages] == [100, 200]


def test_a_new_filter_reaches_those_who_follow_it(hall: Hall) -> None:
    follower, _ = join(hall.connections)
    own, _ = join(hall.connections)
    own.channels[0].tracks_stored = False

    hall.connections.apply_stored_filter("u", Filter(impact_threshold=100))

    assert list(hall.connections.index.match(item()).recipients) == [own.channels[0].slot]
    assert follower.channels[0].filter == Filter(impact_threshold=100)


async def test_draining_ends_everybody_with_a_restart_and_seats_nobody(hall: Hall) -> None:
    links = [join(hall.connections, user)[1] for user in "abc"]

    await drain(hall)

    assert all(link.endings == [DisconnectReason.SHUTDOWN] for link in links)
    with pytest.raises(NewsError) as refused:
        hall.connections.admit("d")
    assert refused.value.code is ErrorCode.DRAINING


def test_latency_is_counted_once_a_send(hall: Hall) -> None:
    join(hall.connections, "a")
    join(hall.connections, "b")

    hall.write_item()

    assert hall.stats.delivery.count == 2
    assert not hall.stats.delivery.examples


def test_a_slow_delivery_leaves_its_trace(hall: Hall) -> None:
    join(hall.connections, "a")
    accepted_at = hall.clock.wall() - 0.2

    record = Record(1, accepted_at, item(), b"{}", trace_id="trace")
    hall.connections.deliver(
        [Outgoing(record, frames.EncodedMessage(b"x"), hall.connections.index.match(item()).recipients)]
    )

    [example] = hall.stats.delivery.examples.values()
    assert example.labels == {"item_id": item().id, "trace_id": "trace"}
    assert example.value == pytest.approx(0.2)


def test_a_client_that_asks_and_never_reads_is_cut_off(hall: Hall) -> None:
    session, link = join(hall.connections, stalled=True)

    for _ in range(20):
        hall.connections.write(session, b"x" * 50)

    assert link.endings == [DisconnectReason.SLOW_CONSUMER]
    assert len(link.frames) == 9
    assert hall.stats.slow == {SlowAction.LAGGING: 1, SlowAction.DISCONNECTED: 1}


def test_a_frame_for_a_closing_socket_is_not_counted_as_written(hall: Hall) -> None:
    _, link = join(hall.connections)
    link.is_closing = True

    hall.write_item()

    assert hall.stats.sends == {Sent.WRITTEN: 0, Sent.CLOSED: 1, Sent.MERGED: 0}


async def test_a_seat_that_opens_during_the_drain_ends_at_once(hall: Hall) -> None:
    session = hall.connections.admit("u")
    link = RecordingLink()

    await drain(hall)
    hall.connections.open(session, link)
    hall.write_item()

    assert link.endings == [DisconnectReason.SHUTDOWN]
    assert link.frames == []
    hall.connections.release(session, DisconnectReason.NETWORK)
    assert hall.stats.closed == {DisconnectReason.SHUTDOWN: 1}


def test_connections_are_counted_by_their_filter(hall: Hall) -> None:
    join(hall.connections, "a")
    join(hall.connections, "b", Filter(impact_threshold=5))
    hall.connections.open(hall.connections.admit("c"), RecordingLink())

    assert hall.connections.index.kinds() == {"filtered": 1, "unfiltered": 1, "broken": 1}
    assert send_buffers.measure(hall.connections) == (0, 0, 0, 0, 0)


def test_the_same_device_takes_over_and_no_item_goes_to_both_or_to_neither(hall: Hall) -> None:
    first, old = join(hall.connections, device_id="laptop")
    hall.write_item(1)
    _, new = join(hall.connections, device_id="laptop")
    hall.write_item(2)

    assert (len(old.frames), len(new.frames)) == (1, 1)
    assert old.endings == [DisconnectReason.REPLACED]
    hall.connections.release(first, DisconnectReason.NETWORK)
    assert hall.stats.closed == {DisconnectReason.REPLACED: 1}
    assert len(hall.connections) == 1


def test_a_device_that_comes_back_finds_its_place_where_all_are_taken(hall: Hall) -> None:
    join(hall.connections, device_id="laptop")
    join(hall.connections, device_id="phone")

    join(hall.connections, device_id="laptop")

    with pytest.raises(NewsError) as caught:
        join(hall.connections, device_id="tablet")
    assert caught.value.code is ErrorCode.TOO_MANY_CONNECTIONS


def test_a_handshake_that_fails_takes_nobodys_place(hall: Hall) -> None:
    _, old = join(hall.connections, device_id="laptop")

    session = hall.connections.admit("u", "laptop")
    hall.connections.release(session, DisconnectReason.NETWORK)
    hall.write_item()

    assert old.endings == []
    assert len(old.frames) == 1


def test_another_users_device_of_the_same_name_is_another_device(hall: Hall) -> None:
    _, theirs = join(hall.connections, "a", device_id="laptop")

    join(hall.connections, "b", device_id="laptop")

    assert theirs.endings == []


def test_with_one_connection_a_user_the_next_one_replaces_it() -> None:
    hall = Hall(LIMITS._replace(is_one_per_user=True, connections_per_user=1, connections=1))
    _, first = join(hall.connections)
    _, second = join(hall.connections)

    assert first.endings == [DisconnectReason.REPLACED]
    assert second.endings == []
    with pytest.raises(NewsError) as caught:
        join(hall.connections, "other")
    assert caught.value.code is ErrorCode.AT_CAPACITY


def test_a_full_user_has_its_connections_doubted_and_ghosts_go_in_seconds(hall: Hall) -> None:
    _, ghost_link = join(hall.connections)
    alive, alive_link = join(hall.connections)
    hall.clock.move(1)

    for _ in range(3):
        with pytest.raises(NewsError, match="connections already"):
            join(hall.connections)
    assert ghost_link.frames == alive_link.frames == [PING]
    hall.clock.move(0.5)
    alive.last_received_at = hall.clock.monotonic()
    hall.clock.move(LIMITS.doubt_s)
    hall.clients.upkeep.sweep()

    assert ghost_link.endings == [DisconnectReason.HEARTBEAT_TIMEOUT]
    assert alive_link.endings == []
    join(hall.connections)


def test_of_two_handshakes_of_one_device_the_one_that_is_open_first_stays(hall: Hall) -> None:
    late = hall.connections.admit("u", "laptop")
    _, first = join(hall.connections, device_id="laptop")
    late_link = RecordingLink()

    hall.connections.open(late, late_link)
    hall.write_item()

    assert (first.endings, late_link.endings) == ([], [DisconnectReason.REPLACED])
    assert (len(first.frames), len(late_link.frames)) == (1, 0)
