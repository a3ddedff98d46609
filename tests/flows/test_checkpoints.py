"""Checkpoints while items are sent: in the same write, with the exact number of items."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.filters.filter import MATCH_ALL, Filter
from app.core.limits import Limits
from app.flows.delivery.session import Session
from tests.support.harness import Harness
from tests.support.link import RecordingLink

EVERY = 5
HIGH = Filter(impact_threshold=90)


def hall_of() -> Harness:
    return Harness(
        Limits().with_values({"delivery.checkpoint_interval_items": EVERY, "delivery.write_high_water_bytes": 10**9})
    )


def check(link: RecordingLink, most_at_once: int) -> None:
    """Compare a client's checkpoints with what it received."""
    had = last = 0
    for message in link.messages:
        if message["type"] == "news_item":
            had, last = had + 1, message["seq"]
        elif message["type"] == "keep_alive":
            assert message["delivered"] == had
            assert message["seq"] >= last
            had = 0
        assert had < EVERY + most_at_once


async def test_checkpoint_shares_the_write_with_items() -> None:
    harness = hall_of()
    _, link = await harness.arrive()
    await harness.publish(EVERY - 1)
    await harness.store(3)
    writes = link.writes

    await harness.broadcast_together()

    assert link.writes == writes + 1
    assert link.kinds == ["news_item", "keep_alive"]
    assert (link.messages[-1]["seq"], link.messages[-1]["delivered"]) == (EVERY + 2, EVERY + 2)


async def test_connections_opened_apart_get_checkpoints_apart() -> None:
    harness = hall_of()
    links = []
    for _ in range(EVERY):
        links.append((await harness.arrive())[1])
        await harness.publish()
    await harness.publish(EVERY)

    for number, link in enumerate(links):
        seqs = [message["seq"] for message in link.messages if message["type"] == "keep_alive"]
        assert seqs[0] == number + EVERY
        check(link, 1)


async def test_closing_connection_gets_no_checkpoint() -> None:
    harness = hall_of()
    session, link = await harness.arrive()
    await harness.publish(EVERY - 1)
    link.is_closing = True

    await harness.publish()

    assert harness.delivered(session) == EVERY - 1
    assert (session.sent, session.checkpoint_seq) == (0, 0)


async def test_checkpointed_items_count_as_sent() -> None:
    harness = hall_of()
    session, _ = await harness.arrive()

    await harness.publish(2 * EVERY + 2)

    assert (session.sent, harness.delivered(session), session.checkpoint_seq) == (2 * EVERY, 2, 2 * EVERY)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("items"), st.integers(1, 9)),
        st.tuples(st.just("low items"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["come", "come high", "go"]), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 20)),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(STEPS)
def test_checkpoints_report_exact_delivered_counts(steps: list[tuple[str, int]]) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, int]]) -> None:
    harness = hall_of()
    here: list[Session] = []
    links: list[RecordingLink] = []
    for step, amount in steps:
        match step:
            case "items" | "low items":
                await harness.store(amount, impact_score=95 if step == "items" else 10)
                await harness.broadcast_together()
            case "wait":
                harness.clock.move(amount)
                harness.clients.housekeeping.sweep()
            case "go":
                if here:
                    harness.leave(here.pop(0))
            case _:
                wants = HIGH if step == "come high" else MATCH_ALL
                session, link = await harness.arrive(f"u{len(links)}", wants)
                here.append(session)
                links.append(link)
    for link in links:
        check(link, 9)
