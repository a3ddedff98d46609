"""Durable items a second: as NDJSON batches, and one by one."""

import asyncio
import statistics
from typing import NamedTuple

from bench.contestants import OURS
from bench.workshop import Scene

BATCH = 100
BATCHES = 20
SINGLES = 300


class Publishing(NamedTuple):
    """Items a second that were acknowledged, and so on the disk."""

    batches_per_s: float
    singles_per_s: float


async def publish_both_ways(scene: Scene, rounds: int) -> Publishing:
    """Publish in batches and one by one, each a request that waits for its answer; no client is connected."""
    loop = asyncio.get_running_loop()
    played: list[Publishing] = []
    for _ in range(rounds):
        async with OURS.start(scene, 1) as running:
            began = loop.time()
            for start in range(0, BATCH * BATCHES, BATCH):
                await running.publish(range(start, start + BATCH))
            between = loop.time()
            for number in range(SINGLES):
                await running.publish((BATCH * BATCHES + number,))
            played.append(Publishing(BATCH * BATCHES / (between - began), SINGLES / (loop.time() - between)))
    return Publishing(*(statistics.median(column) for column in zip(*played, strict=True)))
