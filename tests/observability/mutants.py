"""Mutation testing of the alerts: plant one bug at a time into an alert and run its cases.

A mutant is an alert with one comparison reversed, one threshold three times as high or a third, its `for` removed or
ten hours long, or one of its conditions removed.
"""

import asyncio
import copy
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.dashboards import GRAFANA, tool

CASES = Path(__file__).parent / "alerts"
AT_ONCE = 2
LEAST_SHARE = 0.9
_OPPOSITE = {">": "<", "<": ">", "==": "!="}
_COMPARISON = re.compile(r"(?<= )(>|<|==) (\d+(?:\.\d+)?)(?![\w.])")
_GUARD = re.compile(r"\s+(?:and(?: on \([\w, ]+\))?)\s+")
# Any: rules and cases are YAML.
Rule = dict[str, Any]


class Mutant(NamedTuple):
    """An alert with one bug."""

    alert: str
    bug: str
    rule: Rule


def mutants_of(rule: Rule) -> Iterator[Mutant]:
    """Return every bug that the alert has a place for."""
    name, expression = rule["alert"], rule["expr"]
    for bug, changed in (*_compared(expression), *_unguarded(expression)):
        yield Mutant(name, bug, rule | {"expr": changed})
    if "for" in rule:
        yield Mutant(name, "waits ten hours", rule | {"for": "10h"})
        yield Mutant(name, "does not wait", {key: value for key, value in rule.items() if key != "for"})


def _compared(expression: str) -> Iterator[tuple[str, str]]:
    for found in _COMPARISON.finditer(expression):
        sign, number = found.groups()
        changes = [(f"{sign} {number} reversed", f"{_OPPOSITE[sign]} {number}")]
        if float(number):
            changes += [(f"{sign} {number} x {by:g}", f"{sign} {float(number) * by:g}") for by in (3, 1 / 3)]
        for bug, text in changes:
            yield bug, expression[: found.start()] + text + expression[found.end() :]


def _unguarded(expression: str) -> Iterator[tuple[str, str]]:
    """Remove what follows each `and` outside parentheses, up to the next one."""
    places = [found for found in _GUARD.finditer(expression) if _is_outside(expression[: found.start()])]
    starts = [*(found.start() for found in places), len(expression)]
    for number, (start, end) in enumerate(pairwise(starts), start=1):
        yield f"guard {number} dropped", expression[:start] + expression[end:]


def _is_outside(text: str) -> bool:
    return text.count("(") == text.count(")") and text.count("{") == text.count("}")


def cases_of(alert: str) -> list[dict[str, Any]]:
    """Return the case files reduced to the scenarios and checks of one alert."""
    files = []
    for path in sorted(CASES.glob("*.yml")):
        cases = yaml.safe_load(path.read_text())
        for scenario in cases["tests"]:
            asked = [one for one in scenario["alert_rule_test"] if one["alertname"] == alert]
            scenario["alert_rule_test"] = asked
        cases["tests"] = [scenario for scenario in cases["tests"] if scenario["alert_rule_test"]]
        if cases["tests"]:
            files.append(cases)
    return files


async def survives(mutant: Mutant, groups: dict[str, Any]) -> bool:
    """Return whether every case still passes with the bug."""
    changed = copy.deepcopy(groups)
    for group in changed["groups"]:
        group["rules"] = [mutant.rule if rule["alert"] == mutant.alert else rule for rule in group["rules"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = folder / "alerts.yml"
        rules.write_text(yaml.safe_dump(changed))
        for number, cases in enumerate(cases_of(mutant.alert)):
            cases["rule_files"] = [str(GRAFANA / "rules" / "recording.yml"), str(rules)]
            path = folder / f"cases-{number}.yml"
            path.write_text(yaml.safe_dump(cases))
            if not await _holds(path):
                return False
    return True


async def _holds(cases: Path) -> bool:
    nowhere = asyncio.subprocess.DEVNULL
    run = await asyncio.create_subprocess_exec(
        *(tool("promtool"), "test", "rules", str(cases)), stdout=nowhere, stderr=nowhere
    )
    return await run.wait() == 0


async def campaign(groups: dict[str, Any], mutants: Sequence[Mutant]) -> list[Mutant]:
    """Try every mutant, some in parallel, and return those that passed unnoticed."""
    slots = asyncio.Semaphore(AT_ONCE)
    survivors: list[Mutant] = []

    async def attempt(mutant: Mutant) -> None:
        async with slots:
            if await survives(mutant, groups):
                survivors.append(mutant)

    async with asyncio.TaskGroup() as tasks:
        for mutant in mutants:
            tasks.create_task(attempt(mutant))
    return survivors


def score() -> tuple[int, list[Mutant]]:
    """Return the number of mutants, and the survivors."""
    groups = yaml.safe_load((GRAFANA / "rules" / "alerts.yml").read_text())
    mutants = [mutant for group in groups["groups"] for rule in group["rules"] for mutant in mutants_of(rule)]
    return len(mutants), asyncio.run(campaign(groups, mutants))


def main() -> int:
    """Print the survivors and the score; return 1 if too many survive."""
    total, survivors = score()
    for mutant in survivors:
        sys.stdout.write(f"survived: {mutant.alert}, {mutant.bug}\n")
    sys.stdout.write(f"{total - len(survivors)} of {total} mutants are noticed\n")
    return 0 if is_enough(total, survivors) else 1


def is_enough(total: int, survivors: list[Mutant]) -> bool:
    return total - len(survivors) >= LEAST_SHARE * total


if __name__ == "__main__":
    sys.exit(main())
