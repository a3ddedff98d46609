"""What a token hides stays hidden: live, replayed, delayed and after a refresh."""

from typing import Any

import pytest

from app.core.access.entitlement import Entitlement, parse_entitlement
from app.core.delivery.phases import Phase
from app.core.delivery.positions import Position, ResumeLast, ResumeRequest
from app.core.errors import ClientError, ErrorCode
from app.core.filters.matching import Outcome
from app.core.limits import Limits
from app.core.news.item import Category
from app.flows.connections.channels import ChannelCommands
from app.flows.delivery.session import Session, TokenState
from app.flows.operations import send_buffers
from app.telemetry.labels import Resume
from tests.support.harness import Harness


@pytest.fixture
def harness() -> Harness:
    return Harness(Limits().with_values({"replays.page_items": 7}))


def may(**claim: Any) -> Entitlement:
    return parse_entitlement(claim)


def channels_of(harness: Harness) -> ChannelCommands:
    """Return the part that a `refresh` leads to."""
    return ChannelCommands(
        harness.manager,
        harness.live,
        harness.clients.subscriptions,
        harness.clients.resolver,
        harness.limits.filters,
    )


async def pass_time(harness: Harness, seconds: int) -> None:
    """Move the clock, a second at a time, so that every timer sees it."""
    for _ in range(seconds):
        harness.clock.move(1.0)
        await harness.settle()


def phase_of(session: Session) -> Phase:
    return session.phase


async def test_live_and_replayed_items_respect_the_token(harness: Harness) -> None:
    mixed = (Category.CRYPTO, Category.POLITICS, Category.CRYPTO, Category.SPORTS)
    for category in mixed:
        await harness.publish(category=category)
    _, link = await harness.arrive(entitled=may(categories=["crypto"]), resume=Position(harness.stores.log.epoch, 0))
    async with harness.reading():
        await harness.settle()
        for category in mixed:
            await harness.publish(category=category)

    assert link.seqs == [1, 3, 5, 7]
    assert harness.stats.broadcast.decisions[Outcome.CATEGORY] == 2


async def test_restricted_user_learns_no_original(harness: Harness) -> None:
    limited = may(sources=["rss"])
    _, everything = await harness.arrive("u")
    _, shared = await harness.arrive("v", entitled=limited)
    _, acking = await harness.arrive("w", entitled=limited, uses_acks=True)
    await harness.publish()
    await harness.publish(is_duplicate=True, duplicate_of="hidden")
    _, replayed = await harness.arrive("x", entitled=limited, resume=Position(harness.stores.log.epoch, 0))
    async with harness.reading():
        await harness.settle()

    told = {
        link: [one["data"]["duplicate_of"] for one in link.messages if one["type"] == "news_item"]
        for link in (everything, shared, acking, replayed)
    }
    assert told == {everything: [None, "hidden"], shared: [None, None], acking: [None, None], replayed: [None, None]}
    assert all(one["data"]["is_duplicate"] for link in told for one in link.messages if one.get("seq") == 2)


async def test_refresh_without_restriction_shows_originals(harness: Harness) -> None:
    session, link = await harness.arrive(entitled=may(sources=["rss"]))
    await harness.publish(duplicate_of="hidden")
    channels_of(harness).use_token(session, TokenState(may()))
    await harness.publish(duplicate_of="shown")

    assert [one["data"]["duplicate_of"] for one in link.messages if one["type"] == "news_item"] == [None, "shown"]


@pytest.mark.parametrize("asked", [None, ResumeLast(2)])
async def test_delayed_user_gets_each_item_once_when_due(harness: Harness, asked: ResumeRequest | None) -> None:
    await harness.publish(2)
    await pass_time(harness, 45)
    await harness.publish(2)
    session, link = await harness.arrive(entitled=may(min_delay_s=60), resume=asked, is_v2=True)
    async with harness.reading():
        await harness.settle()
        assert link.seqs == []

        await pass_time(harness, 14)
        assert link.seqs == []
        await pass_time(harness, 6)
        assert link.seqs == [1, 2]
        await harness.publish(1)
        await pass_time(harness, 44)
        assert link.seqs == [1, 2, 3, 4]
        await pass_time(harness, 20)

    assert link.seqs == [1, 2, 3, 4, 5]
    assert phase_of(session) is Phase.REPLAYING
    assert "live" not in link.kinds
    await harness.publish(3)
    assert send_buffers.measure(harness.manager, harness.live).max_behind_items == 0


async def test_delayed_user_gets_no_unrequested_past(harness: Harness) -> None:
    await harness.publish(3)
    await pass_time(harness, 90)
    await harness.publish(1)
    _, unasked = await harness.arrive(entitled=may(min_delay_s=60), is_v2=True)
    _, asking = await harness.arrive("v", entitled=may(min_delay_s=60), resume=ResumeLast(2))
    async with harness.reading():
        await pass_time(harness, 1)
        assert (unasked.seqs, asking.seqs) == ([], [2, 3])
        await pass_time(harness, 65)

    assert (unasked.seqs, asking.seqs) == ([4], [2, 3, 4])
    assert unasked.messages[0]["recovered"] is False
    assert harness.stats.recovery.resumes == {Resume.COMPLETE: 1}


async def test_delayed_user_with_acks_continues_after_them(harness: Harness) -> None:
    late = may(min_delay_s=60)
    first, link = await harness.arrive(entitled=late, uses_acks=True)
    await harness.publish(3)
    async with harness.reading():
        await pass_time(harness, 65)
        await harness.send(first, {"type": "ack", "seq": 2})
        harness.leave(first)
        await pass_time(harness, 120)
        _, again = await harness.arrive(entitled=late, uses_acks=True)
        await pass_time(harness, 5)

    assert link.seqs == [1, 2, 3]
    assert again.seqs == [3]


async def test_newer_token_applies_from_the_next_item(harness: Harness) -> None:
    session, link = await harness.arrive()
    async with harness.reading():
        await harness.publish(1)
        channels_of(harness).use_token(session, TokenState(may(categories=["sports"])))
        await harness.publish(1, category=Category.CRYPTO)
        await harness.publish(1, category=Category.SPORTS)
        assert link.seqs == [1, 3]

        channels_of(harness).use_token(session, TokenState(may(min_delay_s=60)))
        assert phase_of(session) is Phase.REPLAYING
        await harness.publish(1)
        await pass_time(harness, 50)
        assert link.seqs == [1, 3]
        await pass_time(harness, 15)
        assert link.seqs == [1, 3, 4]

        channels_of(harness).use_token(session, TokenState(may()))
        await harness.publish(1)
        await pass_time(harness, 6)

    assert link.seqs == [1, 3, 4, 5]
    assert phase_of(session) is Phase.LIVE


async def test_token_limits_channels_of_a_connection(harness: Harness) -> None:
    session, link = await harness.arrive(entitled=may(max_channels=2))
    for request_id, name in enumerate(("a", "b", "a")):
        await harness.send(
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
        [{"pointer": "/channel", "detail": "must be one of at most 2 channels"}],
    )
    with pytest.raises(ClientError) as caught:
        channels_of(harness).use_token(session, TokenState(may(max_channels=1)))
    assert caught.value.code is ErrorCode.TOO_MANY_CHANNELS
    assert session.token.entitled == may(max_channels=2)


async def test_explain_does_not_reveal_hidden_items(harness: Harness) -> None:
    await harness.publish(1, category=Category.POLITICS, title="kept back")
    [record] = await harness.stores.log.read(0, 1)
    barred, link = await harness.arrive(entitled=may(sources=[]))
    await harness.send(barred, {"type": "explain", "id": 1, "item": record.item.id})
    late, late_link = await harness.arrive("v", entitled=may(min_delay_s=60))
    await harness.send(late, {"type": "explain", "id": 2, "item": record.item.id})

    for answer in (link.messages[-1], late_link.messages[-1]):
        assert (answer["type"], answer["code"]) == ("error", "unknown_item")
    assert "kept back" not in str(link.messages)
