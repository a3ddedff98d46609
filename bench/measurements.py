"""The measurements of `make bench`, and which contestant takes part in which.

Contestants take turns within a round, so that a machine that slows down slows all of them down; a figure is the median
of the rounds.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import contestants
from bench.arena import Figures, Plan, play
from bench.contestants import OURS, OURS_DEFLATED, THE_LIMIT, Contestant
from bench.durable import Publishing, publish_both_ways
from bench.idle import Idle, idle_bytes
from bench.matching import Deciding, decide
from bench.workshop import Scene

FEW, MANY, MOST = 1_000, 5_000, 19_000
BACKLOG_ITEMS = 16
PACE_S = 0.2


class Effort(NamedTuple):
    """How much is measured: rounds, deliveries in a round of the fast contestants, seconds of a paced round, filters in
    the index.
    """

    rounds: int
    deliveries: int
    paced_s: int
    filters: int
    is_whole: bool


WHOLE = Effort(rounds=5, deliveries=500_000, paced_s=8, filters=1_000_000, is_whole=True)
QUICK = Effort(rounds=1, deliveries=200_000, paced_s=4, filters=100_000, is_whole=False)

# Contestants for which such a round would take too long get a share of the deliveries.
_SHARES = {
    contestants.NATS_WEBSOCKET.name: 0.4,
    contestants.AIOHTTP_GATHER.name: 0.4,
    contestants.THE_ORIGINAL.name: 0.02,
}
_FAN_OUT = (
    THE_LIMIT,
    OURS,
    OURS_DEFLATED,
    contestants.BUN_PUBLISH,
    contestants.PICOWS,
    contestants.NODE_WS,
    contestants.WEBSOCKETS,
    contestants.NATS_WEBSOCKET,
    contestants.AIOHTTP_GATHER,
    contestants.THE_ORIGINAL,
)

Medians = dict[str, Figures]


class Measured(NamedTuple):
    """Everything that was measured, by contestant; what takes minutes only in a whole run."""

    fan_out: Medians
    backlog: Medians
    paced: Medians
    most: Medians
    publishing: Publishing
    deciding: Deciding
    idle: Idle | None


async def measure(effort: Effort) -> Measured:
    """Measure everything, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        await scene.store_filters(MOST if effort.is_whole else MANY)
        fan_out = await _fan_out(scene, effort)
        items = effort.deliveries // FEW // BACKLOG_ITEMS * BACKLOG_ITEMS
        backlog = await _rounds(
            scene,
            effort.rounds,
            [(who, Plan(FEW, items, BACKLOG_ITEMS)) for who in (THE_LIMIT, OURS, contestants.WEBSOCKETS)],
        )
        paced_items = int(effort.paced_s / PACE_S)
        paced = await _rounds(
            scene, effort.rounds, [(who, Plan(MANY, paced_items, pace_s=PACE_S)) for who in (THE_LIMIT, OURS)]
        )
        most: Medians = {}
        if effort.is_whole:
            plan = Plan(MOST, effort.paced_s, pace_s=1.0)
            most = await _rounds(scene, effort.rounds, [(OURS, plan)])
        publishing = await publish_both_ways(scene, effort.rounds)
        idle = await idle_bytes(effort.rounds) if effort.is_whole else None
    return Measured(fan_out, backlog, paced, most, publishing, decide(effort.filters), idle)


async def _fan_out(scene: Scene, effort: Effort) -> Medians:
    plans = [(who, Plan(MANY, max(2, int(effort.deliveries * _SHARES.get(who.name, 1)) // MANY))) for who in _FAN_OUT]
    return await _rounds(scene, effort.rounds, plans)


async def _rounds(scene: Scene, rounds: int, plans: Sequence[tuple[Contestant, Plan]]) -> Medians:
    played: dict[str, list[Figures]] = {who.name: [] for who, _ in plans}
    for _ in range(rounds):
        for who, plan in plans:
            figures = await play(who, scene, plan)
            played[who.name].append(figures)
            sys.stdout.write(
                f"{who.name:22} {plan.clients:6,} clients {plan.items:5} items:"
                f" {figures.deliveries_per_s:9,.0f}/s, {figures.cpu_us:6.2f} µs each, p99 {figures.p99_ms:8.1f} ms\n"
            )
            sys.stdout.flush()
    return {
        name: Figures(*(statistics.median(column) for column in zip(*figures, strict=True)))
        for name, figures in played.items()
    }
