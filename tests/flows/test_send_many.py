"""Which connections are written by `SendMany` and which by their link; nothing is sent twice or out of order."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.core.delivery.positions import ResumeLast
from app.core.filters.filter import Filter
from app.core.limits import Limits
from app.flows.delivery.session import Session
from tests.support.harness import Harness
from tests.support.link import RecordingLink

LIMITS = Limits().with_values({"delivery.write_high_water_bytes": 4_000, "delivery.write_low_water_bytes": 2_000})
HIGH = Filter(impact_threshold=90)


class Sockets:
    """Accepts writes as the kernel does: all bytes, or only some if the socket is full."""

    def __init__(self) -> None:
        self.got: dict[int, list[bytes]] = {}
        self.takes: dict[int, int] = {}

    def volley(self, handles: Sequence[Any], frame: bytes) -> list[int]:
        taken = [0 if handle is None else self.takes.get(handle, len(frame)) for handle in handles]
        for handle, size in zip(handles, taken, strict=True):
            if size:
                self.got.setdefault(handle, []).append(frame[:size])
        return taken


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    sockets = Sockets()
    monkeypatch.setattr("app.wiring.send_many", sockets.volley)
    return sockets


@pytest.fixture
def harness(sockets: Sockets) -> Harness:
    return Harness(LIMITS)


class Unsplit(RecordingLink):
    """Records what it is given unchanged, also parts of frames."""

    def write(self, frames: bytes) -> bool:
        self.writes += 1
        self.frames.append(frames)
        return not self.is_closing


async def arrive(harness: Harness, handle: int, **options: object) -> tuple[Session, RecordingLink]:
    return await harness.arrive(f"u{handle}", link=Unsplit(send_handle=handle), **options)  # type: ignore[arg-type]


async def test_writable_socket_is_written_directly(harness: Harness, sockets: Sockets) -> None:
    (one, first), (two, second) = await arrive(harness, 1), await arrive(harness, 2)

    await harness.publish(3)

    assert [len(sockets.got[handle]) for handle in (1, 2)] == [3, 3]
    assert sockets.got[1] == sockets.got[2]
    assert first.frames == second.frames == []
    assert [harness.delivered(one), harness.delivered(two)] == [3, 3]


async def test_rest_of_a_partial_write_uses_the_link(harness: Harness, sockets: Sockets) -> None:
    session, link = await arrive(harness, 1)
    await arrive(harness, 2)
    sockets.takes[1] = 10

    await harness.publish()

    assert sockets.got[1][0] + link.frames[0] == sockets.got[2][0]
    assert harness.delivered(session) == 1


async def test_pending_bytes_keep_their_order(harness: Harness, sockets: Sockets) -> None:
    session, link = await arrive(harness, 1)
    harness.clients.dispatcher.on_pause(session)

    await harness.publish(2)
    assert (sockets.got, link.writes, harness.delivered(session)) == ({}, 2, 2)

    harness.clients.dispatcher.on_resume(session)
    await harness.publish()
    assert (len(sockets.got[1]), link.writes, harness.delivered(session)) == (1, 2, 3)


async def test_lagging_session_is_skipped_until_caught_up(harness: Harness, sockets: Sockets) -> None:
    session, link = await arrive(harness, 1)
    sockets.takes[1] = 0
    link.untaken = LIMITS.delivery.write_high_water_bytes + 1

    await harness.publish(3)
    assert (link.writes, session.phase) == (1, "lagging")

    async with harness.reading():
        await harness.come_to_rest(link)
    sockets.takes.clear()
    await harness.publish()
    assert (link.writes, len(sockets.got[1]), session.phase) == (3, 1, "live")


async def test_closing_link_counts_as_closed(harness: Harness, sockets: Sockets) -> None:
    session, link = await arrive(harness, 1)
    sockets.takes[1] = 0
    link.is_closing = True

    await harness.publish()

    assert harness.delivered(session) == 0


async def test_slot_of_a_closed_session_is_reused(harness: Harness, sockets: Sockets) -> None:
    before, _ = await arrive(harness, 1)
    harness.leave(before)
    after, _ = await arrive(harness, 1, wanted=HIGH)

    await harness.publish(2, impact_score=10)
    await harness.publish(impact_score=95)

    assert len(sockets.got[1]) == 1
    assert [harness.delivered(before), harness.delivered(after)] == [0, 1]


async def test_named_channel_switches_to_the_link(harness: Harness, sockets: Sockets) -> None:
    session, link = await arrive(harness, 1)
    await harness.publish()
    await harness.send(session, {"type": "subscribe", "id": 1, "channel": "btc", "filters": {}})
    said = len(link.frames)

    await harness.publish()

    assert len(sockets.got[1]) == 1
    assert b'"channels":["btc","default"]' in link.frames[said]


async def test_ack_mode_uses_the_link(harness: Harness, sockets: Sockets) -> None:
    _, link = await arrive(harness, 1, uses_acks=True)

    await harness.publish()

    assert (sockets.got, link.writes) == ({}, 1)


async def test_separate_counts_survive_leaving_shared_frames(
    harness: Harness,
) -> None:
    (leaving, _), (naming, _) = await arrive(harness, 1), await arrive(harness, 2)
    await harness.publish(3)

    harness.leave(leaving)
    await harness.send(naming, {"type": "subscribe", "id": 1, "channel": "btc", "filters": {}})
    await harness.publish()

    assert leaving.delivered == 3
    assert harness.manager.describe(are_open=False)[0].items == 3
    assert harness.manager.describe(are_open=True)[0].items == 4
    assert [channel.matched for channel in naming.channels] == [4, 1]


async def test_replayed_items_count_towards_the_next_checkpoint() -> None:
    harness = Harness(Limits().with_values({"delivery.checkpoint_interval_items": 5}))
    await harness.store(3)
    await harness.broadcast()
    session, link = await harness.arrive("u", resume=ResumeLast(3))
    async with harness.reading():
        await harness.come_to_rest(link)
    assert harness.delivered(session) == 3

    await harness.publish(2)

    assert [message["delivered"] for message in link.messages if message["type"] == "keep_alive"] == [5]
    assert harness.delivered(session) == 0


async def test_delivery_postpones_keep_alive(harness: Harness, sockets: Sockets) -> None:
    _, busy = await arrive(harness, 1)
    _, idle = await arrive(harness, 2, wanted=HIGH)
    for _ in range(3):
        harness.clock.move(LIMITS.delivery.checkpoint_interval_s / 2)
        harness.clients.housekeeping.sweep()
        await harness.publish(impact_score=10)
    harness.clock.move(LIMITS.delivery.checkpoint_interval_s / 4)
    harness.clients.housekeeping.sweep()

    assert len(sockets.got[1]) == 3
    assert [sum(b"keep_alive" in frame for frame in link.frames) for link in (busy, idle)] == [0, 1]
