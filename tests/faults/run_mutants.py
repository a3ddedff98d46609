"""Mutation testing: plant one bug at a time into a copy of the server, and run the tests until one fails.

`make mutants` writes the score to docs/mutants.md. The bugs are in `mutants`.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests.faults.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "mutants.md"
LEAST_SHARE = 0.9
AT_ONCE = 2
# The quick tests first: most bugs are noticed within seconds.
_TESTS = ("tests/core", "tests/flows", "tests/adapters", "tests/http", "tests/journeys", "tests/faults")
# It looks for the place of each mutant, so it fails for every bug that is planted.
_LEFT_OUT = ("--ignore", "tests/faults/test_mutants.py")
_LONGEST_S = 600
_COMMENT_LINE = re.compile(r"^ *#.*\n", re.MULTILINE)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Result(NamedTuple):
    """The test that noticed a mutant, or None."""

    mutant: Mutant
    noticed_by: str


def code(path: Path) -> str:
    """Return a file's text without the lines that hold only a comment, so that no mutant depends on a comment."""
    return _COMMENT_LINE.sub("", path.read_text())


def has_place(mutant: Mutant) -> bool:
    """Return whether a bug can be planted: the code that it replaces occurs exactly once."""
    return code(ROOT / mutant.path).count(mutant.right) == 1


def plant(mutant: Mutant, folder: Path) -> None:
    """Copy the files that git knows, with the bug."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / mutant.path).write_text(code(folder / mutant.path).replace(mutant.right, mutant.wrong))


def run(mutant: Mutant) -> Result:
    """Run the tests until one notices the bug."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given) / "project" / "main"
        folder.mkdir(parents=True)
        plant(mutant, folder)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *_TESTS, *_LEFT_OUT]
        environment = {key: value for key, value in os.environ.items() if key not in ("CI", "FAULTS")}
        try:
            ended = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, timeout=_LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Result(mutant, "a test that did not end")
    found = _FAILED.findall(ended.stdout.decode(errors="replace"))
    return Result(mutant, found[0] if found else "" if ended.returncode == 0 else "the tests did not start")


def report(results: Sequence[Result]) -> str:
    """Write the score."""
    noticed = [result for result in results if result.noticed_by]
    rows = [f"| {mutant.bug} | `{mutant.path}` | {f'`{by}`' if by else '**nothing**'} |" for mutant, by in results]
    return "\n".join(
        (
            "# Planted bugs",
            "",
            "`make mutants` plants one bug at a time into a copy of the server and runs the tests until one notices.",
            "",
            f"**{len(noticed)} of {len(results)} are noticed.** {datetime.now(UTC):%Y-%m-%d}, Python 3.11, 2 cores.",
            "",
            "| the bug | where | the first test that noticed |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def main() -> int:
    with ThreadPoolExecutor(AT_ONCE) as workers:
        results = []
        for result in workers.map(run, MUTANTS):
            sys.stdout.write(f"{result.noticed_by or 'NOTHING'}: {result.mutant.bug}\n")
            sys.stdout.flush()
            results.append(result)
    REPORT.write_text(report(results))
    noticed = sum(bool(result.noticed_by) for result in results)
    sys.stdout.write(f"{noticed} of {len(results)} noticed\n")
    return 0 if noticed >= LEAST_SHARE * len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
