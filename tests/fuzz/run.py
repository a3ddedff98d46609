"""Run a coverage-guided fuzzer, atheris, on every target, and write docs/fuzzing.md.

    python -m tests.fuzz.run [SECONDS A TARGET] [--write]

Each target runs in a process of its own (`one`). The exit code is 1 if an input raised an unexpected exception, or if
the slowest input of a target takes more processor time than its bound. With `--write`, docs/fuzzing.md is written, and
the slowest inputs become part of the corpus.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.targets import CORPUS, SLOWEST, TARGETS, cpu_s

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "fuzzing.md"
_TIMES = 5
_RUNS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


class Result(NamedTuple):
    """What a run of one target found: how many inputs were tried, and the slowest one with its processor time."""

    name: str
    runs: int
    slowest: bytes
    cpu_s: float
    crash: str


def run(name: str, seconds: int) -> Result:
    """Fuzz one target in a process of its own, and measure the slowest inputs of it and of the corpus."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command = [sys.executable, "-m", "tests.fuzz.one", name, str(seconds), place]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        crashes = [file for file in folder.iterdir() if file.name.startswith(("crash-", "timeout-", "oom-"))]
        crash = done.stderr[-2_000:] if done.returncode or crashes else ""
        for file in crashes:
            shutil.copy(file, CORPUS / name / file.name)
        tried = [file.read_bytes() for file in (folder / SLOWEST, *(CORPUS / name).glob("*")) if file.is_file()]
        found = _RUNS.search(done.stderr)
    target = TARGETS[name]
    slowest = max(tried, key=lambda data: cpu_s(target, data), default=b"")
    return Result(name, int(found[1]) if found else 0, slowest, cpu_s(target, slowest, _TIMES), crash)


def keep(result: Result) -> None:
    """Add the slowest input of a target to the corpus, under a name made from its contents."""
    digest = hashlib.sha256(result.slowest).hexdigest()[:12]
    (CORPUS / result.name / f"slow-{digest}").write_bytes(result.slowest)


def report(results: list[Result], seconds: int) -> str:
    rows = [
        f"| {result.name} | {result.runs:,} | {TARGETS[result.name].max_bytes:,} | {len(result.slowest):,} |"
        f" {result.cpu_s * 1000:.1f} ms | {_bound(result.name)} | {'yes' if result.crash else 'none'} |"
        for result in results
    ]
    return f"""# Fuzzing

Written by `python -m tests.fuzz.run {seconds} --write` ({datetime.now(UTC):%Y-%m-%d}; `make fuzz` takes 60 s for each
target): atheris, which is guided by coverage. Every input must be answered by the errors that callers expect, and
within its bound of processor time, measured without the fuzzer's instrumentation. Feeds have no bound yet. The corpus
in `tests/fuzz/corpus` is tested in CI.

| Target | Inputs | Bytes at most | Bytes of the slowest | Its processor time | Bound | Unexpected errors |
| --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(rows)}
"""


def _bound(name: str) -> str:
    bound_s = TARGETS[name].max_cpu_s
    return "—" if bound_s is None else f"{bound_s * 1000:g} ms"


def is_wrong(result: Result) -> bool:
    bound_s = TARGETS[result.name].max_cpu_s
    return bool(result.crash) or not result.runs or (bound_s is not None and result.cpu_s > bound_s)


def main(arguments: list[str]) -> int:
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("no coverage-guided fuzzer: atheris has no package for this platform and Python\n")
        return 1 if os.environ.get("CI") else 0
    numbers = [int(argument) for argument in arguments if argument.isdigit()]
    seconds = numbers[0] if numbers else 60
    results = []
    for name in TARGETS:
        results.append(run(name, seconds))
        last = results[-1]
        sys.stdout.write(
            f"{name}: {last.runs:,} inputs, slowest {last.cpu_s * 1000:.1f} ms ({len(last.slowest):,} bytes)"
            f"{': WRONG' if is_wrong(last) else ''}\n{last.crash}"
        )
        sys.stdout.flush()
        if "--write" in arguments and last.slowest:
            keep(last)
    if "--write" in arguments:
        REPORT.write_text(report(results, seconds))
    return int(any(map(is_wrong, results)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
