"""What metrics cost: a scrape with 5,000 connections, and counting a broadcast to 5,000.

    python -m bench.metrics

The scrape is of the real server, over HTTP, with real connections. The cost of counting is the difference between
broadcasts with the real counters and with counters that do nothing, in turns, to links that accept every frame and
discard it.
"""

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
import uvloop

from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.system.clock import SystemClock
from app.core.filters.filter import DEFAULT_CHANNEL, MATCH_ALL
from app.core.filters.filter_index import Match
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.admission import Admission
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.delivery.channel import Channel
from app.flows.delivery.live import LiveSet
from app.flows.delivery.live_delivery import LiveDelivery
from app.flows.delivery.session import Session
from app.ports.log import Record
from app.ports.transport import ConnectionHandler
from app.telemetry.broadcast_stats import BroadcastStats, FanoutCounts
from app.telemetry.histogram import Example
from app.telemetry.labels import Stage
from app.telemetry.stats import Stats
from tests.support.crowd import join
from tests.support.items import item
from tests.support.process import server_process

CONNECTIONS = 5_000
SCRAPES = 40
BROADCASTS = 200
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Figure(NamedTuple):
    """One measurement, in milliseconds: the median, and the longest."""

    name: str
    median_ms: float
    longest_ms: float


class Sink:
    """A link that accepts everything."""

    send_handle = None

    def write(self, frame: bytes) -> bool:
        return True

    def set_write_limit(self, high_water_bytes: int) -> None: ...
    def switch_handler(self, session: Session, handler: ConnectionHandler[Session]) -> None: ...

    def buffered_bytes(self) -> int:
        return 0

    def close(self, reason: DisconnectReason) -> None: ...
    def abort(self) -> None: ...


def take_everything(handles: Sequence[object], frame: bytes) -> list[int]:
    """Send to many sockets that take everything."""
    return [len(frame)] * len(handles)


class NoBroadcastStats(BroadcastStats):
    """Counters that do nothing, to measure what a broadcast costs without any."""

    def record_taken(self, waited_s: float, now: float) -> None: ...
    def record_slots(self, slots: int) -> None: ...
    def record_decisions(self, match: Match) -> None: ...
    def record_fanout(self, counts: FanoutCounts) -> None: ...
    def record_stages(self, times: Iterable[tuple[Stage, float]]) -> None: ...
    def record_slow_delivery(self, example: Example) -> None: ...


def broadcaster(*, is_counted: bool) -> WebSocketBroadcaster:
    """Return a broadcaster with all clients connected."""
    clock, stats = SystemClock(), Stats()
    if not is_counted:
        stats.broadcast = NoBroadcastStats()
    limits = Limits().with_values({"delivery.checkpoint_interval_items": 10**9, "connections.max_total": CONNECTIONS})
    admission = Admission(limits.connections, clock)
    live = LiveSet(limits.delivery, clock, stats)
    manager = ConnectionManager(admission, live, clock, stats)
    for number in range(CONNECTIONS):
        session = admission.admit(f"user-{number}")
        session.configure([Channel(DEFAULT_CHANNEL, MATCH_ALL)])
        manager.open(session, Sink())
    return WebSocketBroadcaster(
        MemoryNewsLog(),
        BroadcastQueue(),
        LiveDelivery(live, take_everything, limits.delivery, clock, stats),
        clock,
        stats,
    )


def measure_counting() -> list[Figure]:
    """Broadcast in turns with counters and without, and return both times and their difference."""
    news = item(content="x" * 800)
    content = msgspec.json.encode(news)
    ways = {"counted": broadcaster(is_counted=True), "not counted": broadcaster(is_counted=False)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, BROADCASTS + 1):
        for name, way in ways.items():
            record = Record(number, time.time(), news, content)
            began = time.perf_counter()
            way.broadcast(record)
            times[name].append(time.perf_counter() - began)
    figures = [_figure(f"broadcast to {CONNECTIONS:,}, {name}", taken) for name, taken in times.items()]
    cost = figures[0].median_ms - figures[1].median_ms
    return [*figures, Figure("counting one broadcast (difference of the medians)", cost, cost)]


async def measure_scrapes() -> list[Figure]:
    """Scrape a server with all clients connected."""
    times: dict[str, list[float]] = {"text/plain": [], OPENMETRICS: []}
    collected = []
    with tempfile.TemporaryDirectory() as folder:
        async with server_process("--database", str(Path(folder) / "news.db")) as running:
            clients = [await join(running.server.ws_url, f"user-{number}") for number in range(CONNECTIONS)]
            for _ in range(SCRAPES):
                for accept, taken in times.items():
                    began = time.perf_counter()
                    async with running.server.http.get(
                        f"{running.server.url}/metrics", headers={"Accept": accept}
                    ) as answer:
                        await answer.read()
                    taken.append(time.perf_counter() - began)
                collected.append(await running.server.metric("news_scrape_duration_seconds"))
            for client in clients:
                client.close()
    names = {"text/plain": "text", OPENMETRICS: "OpenMetrics"}
    figures = [
        _figure(f"GET /metrics as {names[accept]}, {CONNECTIONS:,} connections", times[accept]) for accept in times
    ]
    return [*figures, _figure("of which our own families, read and written", collected)]


def _figure(name: str, seconds: Sequence[float]) -> Figure:
    return Figure(name, statistics.median(seconds) * 1000, max(seconds) * 1000)


def measure() -> list[Figure]:
    """Measure all of it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return [*measure_counting(), *runner.run(measure_scrapes())]


def main() -> int:
    """Measure and print."""
    for figure in measure():
        sys.stdout.write(f"{figure.name:60} median {figure.median_ms:7.3f} ms  longest {figure.longest_ms:7.3f} ms\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
