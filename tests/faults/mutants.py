"""Do the tests bite? Plant one bug at a time into a copy of the server and run the tests until one notices.

This file owns which bugs are planted, one line each, of the kinds that lose, double or disorder items, let through what
a filter rejects, or never let go of a client; and the score. `make mutants` writes it into docs/mutants.md.
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

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "mutants.md"
LEAST_SHARE = 0.9
AT_ONCE = 2
# The quick ones first: most bugs are noticed within seconds.
_TESTS = ("tests/core", "tests/flows", "tests/adapters", "tests/http", "tests/journeys", "tests/faults")
_LONGEST_S = 600
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Mutant(NamedTuple):
    """A bug: what it does, where, and the text that it takes the place of, which stands there once."""

    bug: str
    path: str
    right: str
    wrong: str


class Result(NamedTuple):
    """What became of a mutant: the test that noticed it, or nothing."""

    mutant: Mutant
    noticed_by: str


MUTANTS = (
    Mutant(
        "an item is sent before its commit",
        "app/adapters/sqlite/news_log.py",
        "            return results\n\n        try:\n            return await self._database.write("
        "Operation.APPEND_HISTORY, store, committed=lambda: self._publish(fresh))\n",
        "            self._publish(fresh)\n            return results\n\n        try:\n"
        "            return await self._database.write(Operation.APPEND_HISTORY, store)\n",
    ),
    Mutant(
        "a commit does not wait for the disk",
        "app/adapters/sqlite/opening.py",
        "synchronous = FULL",
        "synchronous = NORMAL",
    ),
    Mutant(
        "a publish is answered before its commit",
        "app/adapters/sqlite/news_log.py",
        "        results = await asyncio.shield(batch.commit)\n",
        "        results = [Appended(one.item.id, self._head + 1, is_duplicate=False) for one in batch.entries]\n",
    ),
    Mutant(
        "replay begins one item late",
        "app/adapters/memory/news_log.py",
        "        start = max(after - self._dropped, 0)\n",
        "        start = max(after - self._dropped, 0) + (after > self._dropped)\n",
    ),
    Mutant(
        "reading from the disk gives the last item again",
        "app/adapters/sqlite/news_log.py",
        "WHERE seq > ? ORDER BY seq LIMIT ?",
        "WHERE seq >= ? ORDER BY seq LIMIT ?",
    ),
    Mutant(
        "the tail in memory is read one item late",
        "app/adapters/sqlite/news_log.py",
        "islice(self._tail, after + 1 - self._tail[0].seq, after",
        "islice(self._tail, after + 2 - self._tail[0].seq, after",
    ),
    Mutant(
        "a connection goes live without being level",
        "app/flows/catch_up.py",
        "            if stands_at == position and not delay_s:\n",
        "            if stands_at >= position - 1 and not delay_s:\n",
    ),
    Mutant(
        "a connection goes live although it takes nothing",
        "app/flows/catch_up.py",
        "return not session.is_window_full(self._limits) and _untaken(session) <= self._limits.room_bytes",
        "return not session.is_window_full(self._limits)",
    ),
    Mutant(
        "who falls behind stays in the live set",
        "app/flows/connections.py",
        "        self._slots.hide(session)\n        session.move(event)\n",
        "        session.move(event)\n",
    ),
    Mutant(
        "who falls behind reads on from one item too far",
        "app/flows/connections.py",
        "        session.pass_to(self.position)\n",
        "        session.pass_to(self.position + 1)\n",
    ),
    Mutant(
        "items that were pruned before they were read are passed over in silence",
        "app/flows/catch_up.py",
        "        if missed.items <= 0:\n",
        "        if missed.items <= 1_000_000:\n",
    ),
    Mutant(
        "a position of another log is resumed",
        "app/core/resuming.py",
        "    if asked.epoch != log.epoch:\n",
        "    if asked.epoch == '':\n",
    ),
    Mutant(
        "a gap of one item is no gap",
        "app/core/resuming.py",
        "    if after >= log.oldest - 1:\n",
        "    if after >= log.oldest - 2:\n",
    ),
    Mutant(
        "a filter that cannot be read lets everything through",
        "app/flows/slots.py",
        "            self.index.put_broken(channel.slot)\n",
        "            self.index.put(channel.slot, __import__('app.core.subscription').core.subscription.EVERYTHING)\n",
    ),
    Mutant(
        "a filter that fails while reading back lets everything through",
        "app/flows/judge.py",
        "            self._stats.recovery.replay_errors += 1\n            return False\n",
        "            self._stats.recovery.replay_errors += 1\n            return True\n",
    ),
    Mutant(
        "reading back asks no filter but the threshold",
        "app/flows/judge.py",
        "first_rejection(self._reading(record.seq, record.item), criteria) is None",
        "True",
    ),
    Mutant(
        "an ack for one item takes none of those before it",
        "app/core/window.py",
        "        while self._items and self._items[0].seq <= seq:\n",
        "        while self._items and self._items[0].seq == seq:\n",
    ),
    Mutant(
        "what is not acknowledged is never sent again",
        "app/flows/acks.py",
        "window.waits_s(now) > self._limits.ack_within_s",
        "window.waits_s(now) > 10 * self._limits.ack_within_s",
    ),
    Mutant(
        "a device that comes back begins live",
        "app/flows/acks.py",
        "        if session.asks_nothing and before is not None:\n",
        "        if session.asks_nothing and before is None:\n",
    ),
    Mutant(
        "cursors that could not be written are forgotten",
        "app/flows/acks.py",
        "            self._unsaved = moved | self._unsaved\n",
        "            self._unsaved = {}\n",
    ),
    Mutant(
        "a client that does not answer the close is never dropped",
        "app/adapters/http/link.py",
        "        self.write(wire.close_frame(ending))\n        self._abort_later()\n",
        "        self.write(wire.close_frame(ending))\n",
    ),
    Mutant(
        "a client that takes no byte is kept for ever",
        "app/core/phases.py",
        "    return stuck_s > limits.stuck_s or",
        "    return stuck_s > 1000 * limits.stuck_s or",
    ),
    Mutant(
        "a place is not given back",
        "app/flows/connections.py",
        "        del self._open[session.id]\n",
        "",
    ),
    Mutant(
        "both connections of a device get items",
        "app/flows/connections.py",
        "            self.cut(old, Ending.REPLACED)\n",
        "            old.ending = Ending.REPLACED\n",
    ),
    Mutant(
        "a channel's new filter never gets into the index",
        "app/flows/connections.py",
        "wants_seq = wants, self.reached(session)\n        if session.phase is Phase.LIVE:\n",
        "wants_seq = wants, self.reached(session)\n        if session.phase is Phase.CLOSED:\n",
    ),
    Mutant(
        "a full disk is written to again at once",
        "app/adapters/sqlite/space.py",
        "        if self.is_full and operation not in _ALWAYS:\n",
        "        if self.is_full and operation in _ALWAYS:\n",
    ),
    Mutant(
        "a failed fsync is forgotten",
        "app/adapters/sqlite/space.py",
        "            self.is_distrusted = True\n",
        "            self.is_distrusted = False\n",
    ),
    Mutant(
        "the drain does not wait for what was accepted",
        "app/flows/drain.py",
        "                await self._broadcaster.wait_until_level()\n",
        "                pass\n",
    ),
)


def has_place(mutant: Mutant) -> bool:
    """Say whether a bug can be planted: its place is there, once."""
    return (ROOT / mutant.path).read_text().count(mutant.right) == 1


def plant(mutant: Mutant, folder: Path) -> None:
    """Copy what git knows, with the bug."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    text = (folder / mutant.path).read_text()
    (folder / mutant.path).write_text(text.replace(mutant.right, mutant.wrong))


def run(mutant: Mutant) -> Result:
    """Run the tests until one notices the bug."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given) / "project" / "main"
        folder.mkdir(parents=True)
        plant(mutant, folder)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *_TESTS]
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
