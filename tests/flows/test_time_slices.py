"""Tasks that read back share the event loop, one slice at a time."""

import asyncio

import pytest

from app.flows.time_slices import TimeSlices
from tests.support.clock import FakeClock
from tests.support.time_limits import soon


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def slices(clock: FakeClock) -> TimeSlices:
    return TimeSlices(2.0, clock)


async def compute(slices: TimeSlices, clock: FakeClock, name: str, items: int, done: list[str]) -> None:
    async with slices.share() as time_slice:
        for _ in range(items):
            clock.move(1.0)
            done.append(name)
            await time_slice.renew_if_over()


async def test_tasks_take_turns_of_one_slice(slices: TimeSlices, clock: FakeClock) -> None:
    done: list[str] = []

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(compute(slices, clock, name, 6, done))

    # The first task asks for its second slice before the others have begun.
    assert "".join(done) == "aaaabbccaabbccbbcc"


async def test_other_tasks_run_between_slices(slices: TimeSlices, clock: FakeClock) -> None:
    done: list[str] = []
    is_over = asyncio.Event()

    async def watch() -> None:
        while not is_over.is_set():
            done.append("|")
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    async with asyncio.TaskGroup() as tasks:
        for name in "ab":
            tasks.create_task(compute(slices, clock, name, 6, done))
    is_over.set()
    await watching

    assert max(map(len, "".join(done).split("|"))) == 2


async def test_cancelled_task_passes_its_turn_on(slices: TimeSlices, clock: FakeClock) -> None:
    done: list[str] = []
    first = asyncio.create_task(compute(slices, clock, "a", 1_000_000, done))
    second = asyncio.create_task(compute(slices, clock, "b", 4, done))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    first.cancel()
    await soon(second)

    assert done.count("b") == 4
    async with slices.share():
        pass


async def test_failed_task_passes_its_turn_on(slices: TimeSlices) -> None:
    with pytest.raises(ZeroDivisionError):
        async with slices.share():
            raise ZeroDivisionError

    async with slices.share():
        pass
