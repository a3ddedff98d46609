"""What a token keeps from its bearer is kept live, read back, late and after a refresh."""

from typing import Any

import pytest

from app.core.access.entitlement import Entitlement, parse_entitlement
from app.core.delivery.phases import Phase
from app.core.delivery.positions import Position, ResumeLast, ResumeRequest
from app.core.errors import ClientError, ErrorCode
from app.core.filters.matching import Outcome
from app.core.limits import Limits
from app.core.news.item import Category
from app.flows.connections.channels import Channels
from app.flows.delivery.session import Session
from app.flows.operations import send_buffers
from app.telemetry.labels import Resume
from tests.support.hall import Hall


@pytest.fixture
def hall() -> Hall:
    return Hall(Limits(page_of_log_items=7))


def may(**claim: Any) -> Entitlement:
    return parse_entitlement(claim)


def channels_of(hall: Hall) -> Channels:
    """What a `refresh` leads to."""
    return Channels(hall.connections, hall.clients.subscriptions, hall.clients.resumption, hall.limits)


async def pass_time(hall: Hall, seconds: int) -> None:
    """Let time pass, a second at a time, for whoever looks at the clock."""
    for _ in range(seconds):
        hall.clock.move(1.0)
        await hall.settle()


def phase_of(session: Session) -> Phase:
    return session.phase


async def test_live_and_read_back_only_what_the_token_names_arrives(hall: Hall) -> None:
    mixed = (Category.CRYPTO, Category.POLITICS, Category.CRYPTO, Category.SPORTS)
    for category in mixed:
        await hall.publish(category=category)
    _, link = await hall.arrive(entitled=may(categories=["crypto"]), asked=Position(hall.stores.log.epoch, 0))
    async with hall.reading():
        await hall.settle()
        for category in mixed:
            await hall.publish(category=category)

    assert link.seqs == [1, 3, 5, 7]
    assert hall.stats.decisions[Outcome.CATEGORY] == 2


@pytest.mark.parametrize("asked", [None, ResumeLast(2)])
async def test_who_sees_everything_late_gets_each_item_when_it_is_due_and_none_twice(
    hall: Hall, asked: ResumeRequest | None
) -> None:
    await hall.publish(2)
    await pass_time(hall, 45)
    await hall.publish(2)
    session, link = await hall.arrive(entitled=may(min_delay_s=60), asked=asked, is_v2=True)
    async with hall.reading():
        await hall.settle()
        assert link.seqs == []

        await pass_time(hall, 14)
        assert link.seqs == []
        await pass_time(hall, 6)
        assert link.seqs == [1, 2]
        await hall.publish(1)
        await pass_time(hall, 44)
        assert link.seqs == [1, 2, 3, 4]
        await pass_time(hall, 20)

    assert link.seqs == [1, 2, 3, 4, 5]
    assert phase_of(session) is Phase.REPLAYING
    assert "live" not in link.kinds
    await hall.publish(3)
    assert send_buffers.measure(hall.connections).most_behind_items == 0


async def test_what_was_due_long_ago_does_not_come_unasked(hall: Hall) -> None:
    await hall.publish(3)
    await pass_time(hall, 90)
    await hall.publish(1)
    _, unasked = await hall.arrive(entitled=may(min_delay_s=60), is_v2=True)
    _, asking = await hall.arrive("v", entitled=may(min_delay_s=60), asked=ResumeLast(2))
    async with hall.reading():
        await pass_time(hall, 1)
        assert (unasked.seqs, asking.seqs) == ([], [2, 3])
        await pass_time(hall, 65)

    assert (unasked.seqs, asking.seqs) == ([4], [2, 3, 4])
    assert unasked.messages[0]["recovered"] is False
    assert hall.stats.recovery.resumes == {Resume.COMPLETE: 1}


async def test_a_late_reader_with_acks_goes_on_behind_what_it_acknowledged(hall: Hall) -> None:
    late = may(min_delay_s=60)
    first, link = await hall.arrive(entitled=late, wants_acks=True)
    await hall.publish(3)
    async with hall.reading():
        await pass_time(hall, 65)
        await hall.send(first, {"type": "ack", "seq": 2})
        hall.leave(first)
        await pass_time(hall, 120)
        _, again = await hall.arrive(entitled=late, wants_acks=True)
        await pass_time(hall, 5)

    assert link.seqs == [1, 2, 3]
    assert again.seqs == [3]


async def test_a_newer_token_changes_what_is_seen_from_the_next_item_on(hall: Hall) -> None:
    session, link = await hall.arrive()
    async with hall.reading():
        await hall.publish(1)
        channels_of(hall).entitle(session, may(categories=["sports"]))
        await hall.publish(1, category=Category.CRYPTO)
        await hall.publish(1, category=Category.SPORTS)
        assert link.seqs == [1, 3]

        channels_of(hall).entitle(session, may(min_delay_s=60))
        assert phase_of(session) is Phase.REPLAYING
        await hall.publish(1)
        await pass_time(hall, 50)
        assert link.seqs == [1, 3]
        await pass_time(hall, 15)
        assert link.seqs == [1, 3, 4]

        channels_of(hall).entitle(session, may())
        await hall.publish(1)
        await pass_time(hall, 6)

    assert link.seqs == [1, 3, 4, 5]
    assert phase_of(session) is Phase.LIVE


async def test_a_token_bounds_the_channels_of_a_connection(hall: Hall) -> None:
    session, link = await hall.arrive(entitled=may(max_channels=2))
    for request_id, name in enumerate(("a", "b", "a")):
        await hall.send(
            session,
            {
                "type": "subscribe",
                "id": request_id,
                "channel": name,
                "filters": {"impact_threshold": 0},
                "persist": False,
            },
        )

    answers = [message for message in link.messages if "id" in message]
    assert [one["type"] for one in answers] == ["subscribed", "error", "subscribed"]
    assert (answers[1]["code"], answers[1]["errors"]) == (
        "too_many_channels",
        [{"pointer": "/channel", "detail": "want at most 2 channels"}],
    )
    with pytest.raises(ClientError) as caught:
        channels_of(hall).entitle(session, may(max_channels=1))
    assert caught.value.code is ErrorCode.TOO_MANY_CHANNELS
    assert session.entitled == may(max_channels=2)


async def test_why_not_is_answered_without_showing_what_is_kept_back(hall: Hall) -> None:
    await hall.publish(1, category=Category.POLITICS, title="kept back")
    [record] = await hall.stores.log.read(0, 1)
    barred, link = await hall.arrive(entitled=may(sources=[]))
    await hall.send(barred, {"type": "explain", "id": 1, "item": record.item.id})
    late, late_link = await hall.arrive("v", entitled=may(min_delay_s=60))
    await hall.send(late, {"type": "explain", "id": 2, "item": record.item.id})

    explained, unknown = link.messages[-1], late_link.messages[-1]
    assert (explained["verdict"], explained["steps"]) == (
        "source",
        [{"step": "source", "met": False, "want": {"entitled": True}, "got": {}}],
    )
    assert "kept back" not in str(link.messages)
    assert (unknown["type"], unknown["code"]) == ("error", "unknown_item")
