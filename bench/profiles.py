"""Where the time is spent: profiles of the server under each load, written to docs/performance.md.

    python -m bench.profiles

Each load is played twice: `perf` sees the kernel and C, py-spy sees Python. Time in a library counts for the function
of `app` that called it. Needs perf, and py-spy from `make bench`.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench.arena import Plan, crowd, publish_all
from bench.contestants import OURS
from bench.measurements import BACKLOG_ITEMS, FEW, MANY
from bench.report import machine, replace
from bench.running import run
from bench.workshop import BYSTANDERS, PEER_PYTHON, Scene

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_MARK = "profiles"
_PY_SPY = PEER_PYTHON.with_name("py-spy")
_SECONDS, _SAMPLES_A_S = 60, 500
_SHOWN, _LEAST = 7, 1.0
_KINDS = {
    "kernel": ("[kernel",),
    "interpreter": ("libpython", "python3"),
    "uvloop": ("loop.cpython",),
    "bitmaps": ("pyroaring",),
    "SQLite": ("libsqlite3", "_sqlite3"),
    "libc": ("libc.so", "ld-linux", "[vdso]"),
}

Recording = Callable[[int], Awaitable[None]]


class Load(NamedTuple):
    """A name for people, and what is played: it calls its argument with the server's pid when it is about to begin."""

    name: str
    play: Callable[[Scene, Recording], Awaitable[None]]


def fan_out(plan: Plan) -> Callable[[Scene, Recording], Awaitable[None]]:
    """All clients are connected; the items of a plan are sent."""

    async def play(scene: Scene, begin: Recording) -> None:
        async with OURS.start(scene, 1) as running, crowd(OURS, running.port, plan, BYSTANDERS) as clients:
            await clients.line("READY")
            await begin(running.pid)
            publishing = asyncio.create_task(publish_all(running, plan))
            await clients.line("RESULT")
            publishing.cancel()

    return play


async def storm(scene: Scene, begin: Recording) -> None:
    """All clients connect."""
    async with OURS.start(scene, 1) as running:
        await begin(running.pid)
        async with crowd(OURS, running.port, Plan(MANY, 1), BYSTANDERS) as clients:
            await clients.line("READY")


async def batches(scene: Scene, begin: Recording) -> None:
    """Items are published a hundred at a time, without clients."""
    async with OURS.start(scene, 1) as running:
        await begin(running.pid)
        await publish_all(running, Plan(0, 5_000, 100))


LOADS = (
    Load(f"One item at a time to {MANY:,}", fan_out(Plan(MANY, 150))),
    Load(f"Backlog of {BACKLOG_ITEMS} items to {FEW:,}", fan_out(Plan(FEW, 200 * BACKLOG_ITEMS, BACKLOG_ITEMS))),
    Load(f"Connection storm of {MANY:,}", storm),
    Load("Durable batches of 100", batches),
)


@asynccontextmanager
async def recorder(*command: str | Path) -> AsyncIterator[Recording]:
    """Attach a profiler to a pid when told to, and let it finish its file at the end."""
    started: list[asyncio.subprocess.Process] = []

    async def begin(pid: int) -> None:
        words = [str(word).replace("PID", str(pid)) for word in command]
        quiet = asyncio.subprocess.DEVNULL
        started.append(await asyncio.create_subprocess_exec(*words, stdout=quiet, stderr=quiet))
        await asyncio.sleep(1)

    yield begin
    for process in started:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def by_kind(load: Load, scene: Scene, folder: Path) -> Counter[str]:
    """Return perf's samples by what the processor was executing."""
    data = folder / "perf.data"
    async with recorder("perf", "record", "-q", "-F", "2000", "-o", data, "-p", "PID") as begin:
        await load.play(scene, begin)
    report = await asyncio.create_subprocess_exec(
        *("perf", "report", "-i", str(data), "--sort", "dso", "--stdio", "-F", "sample,dso"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    text = (await report.communicate())[0].decode()
    kinds: Counter[str] = Counter()
    for line in text.splitlines():
        samples, _, where = line.strip().partition(" ")
        if samples.isdigit():
            kinds[_kind(where.strip())] += int(samples)
    return kinds


def _kind(where: str) -> str:
    return next((kind for kind, starts in _KINDS.items() if where.startswith(starts)), "other C")


async def by_function(load: Load, scene: Scene, folder: Path) -> Counter[str]:
    """Return py-spy's samples on the event loop's thread by the innermost function of `app`; waiting is not counted."""
    data = folder / "spy.txt"
    options = ("-r", _SAMPLES_A_S, "-d", _SECONDS, "-f", "raw", "-o", data, "-p", "PID")
    async with recorder(_PY_SPY, "record", *map(str, options)) as begin:
        await load.play(scene, begin)
    functions: Counter[str] = Counter()
    for line in data.read_text(encoding="utf-8").splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        if any("app/__main__" in frame for frame in frames):
            functions[_innermost(frames)] += int(samples)
    return functions


def _innermost(frames: list[str]) -> str:
    for frame in reversed(frames):
        name, _, place = frame.partition(" (")
        if place.startswith("app/") and not place.startswith("app/__main__"):
            module = place.partition(".py")[0].removeprefix("app/").replace("/", ".")
            return f"`{module}` {name.split('.<locals>')[0].rpartition('.')[2]}"
    return "aiohttp and the loop"


def _shares(samples: Counter[str]) -> str:
    total = samples.total() or 1
    shares = ((name, 100 * count / total) for name, count in samples.most_common(_SHOWN))
    return ", ".join(f"{name} {share:.0f} %" for name, share in shares if share >= _LEAST)


async def main() -> None:
    """Profile every load, and write the results into the page."""
    lines = [
        machine("python -m bench.profiles"),
        "",
        "| | all its processor time | the loop's thread, by our functions |",
    ]
    lines.append("|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        scene = Scene(Path(name))
        await scene.store_filters(MANY)
        for load in LOADS:
            kinds = await by_kind(load, scene, Path(name))
            functions = await by_function(load, scene, Path(name))
            lines.append(f"| {load.name} | {_shares(kinds)} | {_shares(functions)} |")
            sys.stdout.write(f"{lines[-1]}\n")
    replace(PAGE, _MARK, "\n".join(lines) + "\n")


if __name__ == "__main__":
    if shutil.which("perf") is None or not os.access(_PY_SPY, os.X_OK):
        sys.exit("bench.profiles wants perf (Debian: linux-perf) and py-spy (make bench)")
    sys.exit(run(main(), core=1))
