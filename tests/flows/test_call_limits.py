"""Calls of an address or user have a rate, and its answers on their way and its bodies a bound."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from app.core.errors import ClientError, ErrorCode, ServerError
from app.core.limits import RequestLimits
from app.flows.operations.call_limits import CallLimiter
from app.telemetry.labels import RateScope
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.time_limits import soon

LIMITS = RequestLimits(
    reads_per_s=2.0, read_burst=3, publishes_per_s=1.0, publish_burst=1, max_answers_per_ip=2, answer_timeout_s=60.0
)


@pytest.fixture
def stats() -> Stats:
    return Stats()


def test_reads_and_publishes_are_metered_apart(stats: Stats) -> None:
    clock = FakeClock()
    limiter = CallLimiter(LIMITS, clock, stats)
    for _ in range(3):
        limiter.check("a", is_publish=False)
    limiter.check("a", is_publish=True)
    limiter.check("b", is_publish=False)
    for _ in range(100):
        limiter.check("", is_publish=False)

    for is_publish in (False, True):
        with pytest.raises(ClientError) as refused:
            limiter.check("a", is_publish=is_publish)
        assert refused.value.code is ErrorCode.RATE_LIMITED
    assert stats.connections.rate_limited == {RateScope.READ: 1, RateScope.PUBLISH: 1}
    clock.move(0.5)
    limiter.check("a", is_publish=False)


async def test_third_answer_waits_until_one_has_ended(stats: Stats) -> None:
    limiter = CallLimiter(LIMITS, FakeClock(), stats)
    order: list[str] = []

    async def third() -> None:
        async with limiter.answering("a"):
            order.append("third")

    async with limiter.answering("a"):
        async with limiter.answering("a"), limiter.answering("b"):
            waiting = asyncio.create_task(third())
            for _ in range(20):
                await asyncio.sleep(0)
            order.append("second ends")
        await soon(waiting)

    assert order == ["second ends", "third"]
    assert stats.server.too_many_answers == 0


async def test_too_many_waiting_calls_are_refused(stats: Stats) -> None:
    limiter = CallLimiter(LIMITS, FakeClock(), stats)
    async with AsyncExitStack() as answers:
        for _ in range(2):
            await answers.enter_async_context(limiter.answering("a"))
        waiting = [asyncio.create_task(answers.enter_async_context(limiter.answering("a"))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServerError, match="read them first"):
            await answers.enter_async_context(limiter.answering("a"))
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    assert stats.server.too_many_answers == 1
    assert limiter._answers == {}


async def test_waiting_call_is_refused_in_time(stats: Stats) -> None:
    limiter = CallLimiter(RequestLimits(max_answers_per_ip=1, answer_timeout_s=0.01), FakeClock(), stats)
    async with limiter.answering("a"):
        with pytest.raises(ServerError) as refused:
            async with limiter.answering("a"):
                pass

    assert refused.value.code is ErrorCode.OVERLOADED


def test_bodies_of_an_address_are_bounded(stats: Stats) -> None:
    limiter = CallLimiter(RequestLimits(max_body_bytes_per_ip=10), FakeClock(), stats)
    with limiter.holding("a") as body, limiter.holding("a") as other, limiter.holding("b") as elsewhere:
        body.add(4)
        body.add(3)
        other.add(3)
        elsewhere.add(10)
        with pytest.raises(ServerError, match="send fewer at once"):
            other.add(1)
    with limiter.holding("a") as body:
        body.add(10)

    assert stats.server.too_many_bodies == 1
    assert limiter._held_bytes == {}
