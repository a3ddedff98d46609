"""Compare the working tree with a commit: processor time a delivery and an item, memory of an idle connection.

    python -m bench.compare COMMIT

Both take turns, with the packages of this environment. The commit runs twice in each round, so that its difference from
itself shows the noise. A figure is within noise if the median of its ratios is at most 3 % above 1, or inside the range
of the commit's ratios to itself. Needs what `make bench` builds.
"""

import asyncio
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from bench.arena import Plan, play
from bench.contestants import Contestant, polyfloat
from bench.idle import resident_bytes
from bench.running import run
from bench.workshop import ROOT, Scene

ROUNDS = 7
TOLERANCE = 0.03
_CROWD = Plan(2_000, 150)
# With one client a delivery is an item: its HTTP request, enriching, commit, matching and one send.
_ITEMS = Plan(1, 2_000)

Measure = Callable[[Path], Awaitable[float]]


class Rounds(NamedTuple):
    """The values of one figure, round by round."""

    name: str
    unit: str
    before: list[float]
    again: list[float]
    after: list[float]

    @property
    def ratio(self) -> float:
        """Return the median ratio of the working tree to the commit."""
        return statistics.median(after / before for before, after in zip(self.before, self.after, strict=True))

    @property
    def noise(self) -> tuple[float, float]:
        """Return the range of the commit's ratios to itself."""
        ratios = [again / before for before, again in zip(self.before, self.again, strict=True)]
        return min(ratios), max(ratios)

    @property
    def is_within_noise(self) -> bool:
        return self.ratio <= max(1 + TOLERANCE, self.noise[1])

    def __str__(self) -> str:
        before, after = statistics.median(self.before), statistics.median(self.after)
        low, high = self.noise
        verdict = "within noise" if self.is_within_noise else "MORE THAN NOISE"
        return (
            f"{self.name:34} {before:9.2f} → {after:9.2f} {self.unit}; ratio {self.ratio:.3f},"
            f" of the commit to itself {low:.3f} to {high:.3f}: {verdict}"
        )


async def compare(commit: str) -> list[Rounds]:
    """Measure every figure."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "commit"
        await asyncio.to_thread(_check_out, commit, old)
        scene = Scene(Path(folder))
        # An older release refuses a database of a newer one.
        await scene.store_filters(_CROWD.clients, old)

        def processor_time(plan: Plan) -> Measure:
            async def measure(root: Path) -> float:
                return (await play(Contestant(root.name, polyfloat(root), has_filters=True), scene, plan)).cpu_us

            return measure

        return [
            await _in_turns("processor time a delivery", "µs", processor_time(_CROWD), old),
            await _in_turns("processor time an item", "µs", processor_time(_ITEMS), old),
            await _in_turns("memory of an idle connection", "bytes", _idle_bytes, old),
        ]


async def _in_turns(name: str, unit: str, measure: Measure, old: Path) -> Rounds:
    rounds = Rounds(name, unit, [], [], [])
    for number in range(ROUNDS):
        # The order changes, so that no turn is always the first one.
        turns = [(rounds.before, old), (rounds.after, ROOT), (rounds.again, old)]
        for values, root in turns if number % 2 == 0 else reversed(turns):
            values.append(await measure(root))
        sys.stdout.write(
            f"{name}, round {number + 1}: {rounds.before[-1]:.2f} {rounds.again[-1]:.2f} → {rounds.after[-1]:.2f}\n"
        )
        sys.stdout.flush()
    return rounds


async def _idle_bytes(root: Path) -> float:
    return await resident_bytes(is_deflating=False, root=root)


def _check_out(commit: str, folder: Path) -> None:
    """Write the server of a commit into a folder."""
    command = ["git", "archive", commit, "app"]
    archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S603 - no shell
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


async def main(commit: str) -> None:
    """Measure and print. Raises SystemExit if a figure got worse by more than noise."""
    compared = await compare(commit)
    sys.stdout.write("\n" + "\n".join(map(str, compared)) + "\n")
    if not all(rounds.is_within_noise for rounds in compared):
        raise SystemExit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.exit(run(main(sys.argv[1]), core=1))
