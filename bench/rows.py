"""The targets: the rows of the table, each a ratio of one run and its target."""

from collections.abc import Iterator
from typing import NamedTuple

from bench import contestants
from bench.contestants import OURS, OURS_DEFLATED, THE_LIMIT
from bench.matching import FEW as FEW_FILTERS
from bench.matching import SOME
from bench.measurements import BACKLOG_ITEMS, FEW, MANY, MOST, Measured


class Row(NamedTuple):
    """One line of the table."""

    what: str
    value: float
    unit: str
    target: float
    is_at_most: bool = False

    @property
    def is_reached(self) -> bool:
        return self.value <= self.target if self.is_at_most else self.value >= self.target


_BESIDE = (
    (THE_LIMIT, 0.90),
    (contestants.BUN_PUBLISH, 0.95),
    (contestants.WEBSOCKETS, 1.5),
    (contestants.NATS_WEBSOCKET, 2.2),
    (contestants.NODE_WS, 1.35),
    (contestants.AIOHTTP_GATHER, 3.6),
    (contestants.THE_ORIGINAL, 100),
)


def rows(measured: Measured) -> Iterator[Row]:
    """Return every row that was measured."""
    ours = measured.fan_out[OURS.name]
    for peer, target in _BESIDE:
        theirs = measured.fan_out[peer.name].deliveries_per_s
        yield Row(f"deliveries/s, {MANY:,} connections: of {peer.name}", ours.deliveries_per_s / theirs, "×", target)
    joined = measured.backlog[OURS.name].deliveries_per_s
    for peer, target in ((THE_LIMIT, 0.70), (contestants.WEBSOCKETS, 12)):
        theirs = measured.backlog[peer.name].deliveries_per_s
        yield Row(
            f"backlog of {BACKLOG_ITEMS} items, {FEW:,} connections: of {peer.name}", joined / theirs, "×", target
        )
    paced, limit = measured.paced[OURS.name].p99_ms, measured.paced[THE_LIMIT.name].p99_ms
    yield Row(f"p99 publish → client, {MANY:,} × 5 items/s: of {THE_LIMIT.name}", paced / limit, "×", 1.25, True)
    yield Row(f"p99 publish → client, {MANY:,} × 5 items/s", paced, "ms", 100, True)
    yield Row("share of user space in a delivery", ours.user_us / ours.cpu_us * 100, "%", 12, True)
    storm = measured.fan_out[contestants.AIOHTTP_GATHER.name].storm_per_s
    yield Row("connection storm: of plain aiohttp", ours.storm_per_s / storm, "×", 1.3)
    publishing = measured.publishing
    ratio = publishing.batches_per_s / publishing.singles_per_s
    yield Row("durable publish: NDJSON batches : one commit an item", ratio, "×", 15)
    deflated = measured.fan_out[OURS_DEFLATED.name].cpu_us / ours.cpu_us
    yield Row("CPU a delivery, deflated : as it is", deflated, "×", 1.05, True)
    deciding = measured.deciding
    yield Row(f"match at {SOME:,} filters: times as fast as the original's loop", deciding.times_faster, "×", 800)
    yield Row(f"match: growth from {FEW_FILTERS:,} to {deciding.filters:,} filters", deciding.growth, "×", 10, True)
    yield Row(f"index update at {deciding.filters:,} filters", deciding.update_us, "µs", 40, True)
    yield Row("iterating a match, a recipient", deciding.iterate_ns, "ns", 25, True)
    if measured.idle:
        yield Row("resident memory, an idle connection", measured.idle.plain / 1e3, "KB", 3.0, True)
        yield Row("resident memory, an idle connection with deflate", measured.idle.deflating / 1e3, "KB", 3.5, True)
    if measured.most:
        yield Row(f"{MOST:,} connections, 1 item/s to all: p99", measured.most[OURS.name].p99_ms, "ms", 250, True)
