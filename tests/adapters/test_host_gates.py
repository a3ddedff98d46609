"""Few requests to one host at once, and few a second."""

import asyncio

from app.adapters.sources.rss.host_gates import HostGates
from app.core.limits import FeedLimits
from tests.support.clock import FakeClock

LIMITS = FeedLimits(max_fetches_per_host=2, fetches_per_s_per_host=1.0)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Requests:
    """Requests to one host each, and when they began."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gates = HostGates(LIMITS, self.clock)
        self.began: list[tuple[str, float]] = []
        self.ended = asyncio.Event()

    async def request(self, url: str) -> None:
        async with self.gates.passing(url):
            self.began.append((url, self.clock.monotonic()))
            await self.ended.wait()


async def test_requests_to_one_host_are_spread() -> None:
    requests = Requests()
    start = requests.clock.monotonic()
    requests.ended.set()
    running = [asyncio.create_task(requests.request("https://a.example/x")) for _ in range(4)]
    running.append(asyncio.create_task(requests.request("https://b.example/x")))
    for _ in range(4):
        await settle()
        requests.clock.move(1.0)
    await asyncio.gather(*running)

    assert sorted(at - start for url, at in requests.began if "a.example" in url) == [0.0, 1.0, 2.0, 3.0]
    assert [at - start for url, at in requests.began if "b.example" in url] == [0.0]


async def test_two_requests_run_at_once() -> None:
    requests = Requests()
    running = [asyncio.create_task(requests.request("https://a.example/x")) for _ in range(3)]
    for _ in range(9):
        await settle()
        requests.clock.move(1.0)
    assert len(requests.began) == 2
    requests.ended.set()
    await asyncio.gather(*running)

    assert len(requests.began) == 3


async def test_closed_gate_opens_in_time() -> None:
    requests = Requests()
    requests.ended.set()
    requests.gates.close("https://a.example/1", 90.0)
    waiting = asyncio.create_task(requests.request("https://A.example/2"))
    await settle()
    requests.clock.move(89.0)
    await settle()
    assert requests.began == []
    requests.clock.move(1.0)
    await waiting
