"""`make observability`: run every check of this folder with unscaled rules, and write docs/observability-report.md.

The tests report their findings through tests/support/report.py. Added to them: the mutants of the alerts, the cost of
metrics, and the three dashboards drawn from a day that a real Prometheus scraped.
"""

import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.metrics import measure
from grafana.pictures.draw import Shot, build, draw
from tests.observability import mutants
from tests.support.dashboards import concrete, dashboards, panels, rules, tool
from tests.support.day import LENGTH_S, PLACES, a_day
from tests.support.process import server_process
from tests.support.watchers import Prometheus, prometheus

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "observability-report.md"
IMAGES = ROOT / "docs" / "images"
SECTIONS = {
    "live": "Dashboards against a real Prometheus",
    "truth": "Counters against the ground truth",
    "series": "Series",
    "rules": "Cases of the alerts",
    "alerts": "Faults provoked for real",
    "compose": "docker-compose.yml without Docker",
}
SCRAPE_S = 2.0
STEP_S = 3.0
RATE_INTERVAL = "12s"
Note = tuple[str, str, str]


def run_tests(notes: Path) -> str:
    """Run the tests of this folder with unscaled rules; return pytest's last line. Raises CalledProcessError if one
    fails.
    """
    environment = {**os.environ, "OBSERVABILITY_NOTES": str(notes), "HURRY": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "tests/observability"]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    sys.stdout.write(finished.stdout)
    finished.check_returncode()
    return finished.stdout.strip().splitlines()[-1]


async def take_pictures() -> None:
    """Play a day, have it scraped, and draw the dashboards from the data."""
    await build()
    with tempfile.TemporaryDirectory() as name:
        arguments = ("--max-connections", str(PLACES), "--sample-wire", "--heartbeat-s", "5")
        async with server_process("--database", f"{name}/news.db", *arguments) as running:
            target = running.server.url.removeprefix("http://")
            async with prometheus(Path(name) / "watcher", [target], interval_s=SCRAPE_S) as watching:
                since = await _half_past_the_minute()
                await a_day(running.server)
                for uid, dashboard in dashboards().items():
                    shot = await _look(watching, dashboard, since, since + LENGTH_S)
                    await draw(shot, IMAGES / f"{uid}.png")


async def _half_past_the_minute() -> float:
    """Wait so that the pictures end between two ticks of their time axes; return the time."""
    await asyncio.sleep(-(time.time() + 30) % 60)
    return time.time()


async def _look(watching: Prometheus, dashboard: dict[str, object], since: float, until: float) -> Shot:
    results = {
        (panel["id"], place): await watching.series(concrete(target["expr"], RATE_INTERVAL), since, until, STEP_S)
        for panel in panels(dashboard)
        for place, target in enumerate(panel["targets"])
    }
    return Shot(dashboard, results, since, until)


def write(notes: list[Note], outcome: str, total: int, survivors: list[mutants.Mutant]) -> str:
    """Return the report."""
    return "\n".join([*_head(outcome), *_found(notes), *_bugs(total, survivors), *_costs(), *_pictures()]) + "\n"


def _head(outcome: str) -> Iterator[str]:
    alerts = sum("alert" in rule for rule in rules())
    yield "# Observability report"
    yield ""
    yield f"`make observability`, {datetime.now(UTC):%Y-%m-%d}. {_machine()}. {_watchers()}."
    yield ""
    yield f"`pytest tests/observability` with the rules as they are committed: {outcome.strip('= ')}. {alerts} alerts."


def _machine() -> str:
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    processor = model.partition(":")[2].strip()
    return f"{os.cpu_count()} cores ({processor}), Linux {platform.release()}, Python {platform.python_version()}"


def _watchers() -> str:
    """Return the versions of Prometheus and Alertmanager."""
    said = (
        subprocess.run([tool(name), "--version"], capture_output=True, text=True, check=True)
        for name in ("prometheus", "prometheus-alertmanager")
    )
    words = ((one.stdout or one.stderr).split(",")[1].split() for one in said)
    return " and ".join(
        f"{name} {version[1]}" for name, version in zip(("Prometheus", "Alertmanager"), words, strict=True)
    )


def _found(notes: list[Note]) -> Iterator[str]:
    for section, title in SECTIONS.items():
        yield from ("", f"## {title}", "", "| | |", "|---|---|")
        yield from (f"| {what} | {found} |" for where, what, found in notes if where == section)


def _bugs(total: int, survivors: list[mutants.Mutant]) -> Iterator[str]:
    yield from ("", "## Mutants of the alerts", "")
    yield f"`python -m tests.observability.mutants`: {total - len(survivors)} of {total} are noticed by a case."
    yield from (f"- survived: `{mutant.alert}`, `{mutant.bug}`" for mutant in survivors)


def _costs() -> Iterator[str]:
    yield from (
        "",
        "## What metrics cost",
        "",
        "`python -m bench.metrics`",
        "",
        "| | median | longest |",
        "|---|---|---|",
    )
    yield from (f"| {one.name} | {one.median_ms:.2f} ms | {one.longest_ms:.2f} ms |" for one in measure())


def _pictures() -> Iterator[str]:
    yield from ("", "## The dashboards", "")
    yield (
        "Drawn with @grafana/ui 13.2.2 in headless Chromium from the committed JSON and what Prometheus answered about"
        " the day of `tests/support/day.py`; not a Grafana server. Cells of heatmaps are drawn by us."
    )
    for uid, dashboard in dashboards().items():
        yield from ("", f"![{dashboard['title']}](images/{uid}.png)")


def main() -> int:
    """Check, measure, draw, write."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        outcome = run_tests(notes)
        found = [tuple(json.loads(line)) for line in notes.read_text().splitlines()]
    asyncio.run(take_pictures())
    total, survivors = mutants.score()
    REPORT.write_text(write(found, outcome, total, survivors), encoding="utf-8")
    return 0 if mutants.is_enough(total, survivors) else 1


if __name__ == "__main__":
    sys.exit(main())
