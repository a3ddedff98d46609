"""One line of the delivery fails at a time: no client is told that it has everything while it has not."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from app.core.errors import ServerError
from tests.faults.points import DELIVERY, ERRORS, Injector, Outcome, Point, run_once

REPORT = Path(__file__).parents[2] / "docs" / "fault-points.md"
IS_LONG = os.environ.get("FAULTS") == "long"
# In the short form each nth point fails, each with the next error.
SHORT_STEP = 9

pytestmark = pytest.mark.time_limit(1_200 if IS_LONG else 120)


class Trial(NamedTuple):
    """A point, the error that it raised, and what came of it."""

    point: Point
    error: str
    outcome: Outcome


async def test_scenario_is_clean_without_a_fault() -> None:
    outcome = await run_once(Injector(DELIVERY))

    assert outcome.wrong == []
    assert (outcome.closed, outcome.gaps, outcome.is_server_ended) == (0, 0, False)


async def test_no_failing_line_leads_to_a_false_claim() -> None:
    undisturbed = await run_once(Injector(DELIVERY))
    points = first_and_last(undisturbed.points)
    assert {point.path for point in points} == set(DELIVERY)

    trials = [await attempt(point, error) for point, error in choice(points)]

    wrong = [(trial.point, trial.error, trial.outcome.wrong) for trial in trials if trial.outcome.wrong]
    assert wrong == []
    assert [trial.point for trial in trials if trial.outcome.gaps] == []
    if IS_LONG:
        REPORT.write_text(report(trials))


async def test_model_notices_a_false_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge must not be blind: without the skip, a failed item is claimed to be delivered."""
    monkeypatch.setattr("app.flows.delivery.live_delivery.LiveDelivery._read_again", lambda *_arguments: None)
    undisturbed = await run_once(Injector(DELIVERY))
    encode = next(point for point in undisturbed.points if point.function.endswith("._match_and_encode"))

    outcome = await run_once(Injector(DELIVERY, encode._replace(line=encode.line + 2), ERRORS[0]))

    assert any("although" in wrong for wrong in outcome.wrong)


def choice(points: list[Point]) -> Iterable[tuple[Point, Callable[[], Exception]]]:
    """Return the points to try, with their errors."""
    if IS_LONG:
        return [(point, error) for point in points for error in errors_at(point)]
    return [(point, cycled(errors_at(point), number)) for number, point in enumerate(points[::SHORT_STEP])]


def errors_at(point: Point) -> list[Callable[[], Exception]]:
    """Return the errors that can arise at a point."""
    return [error for error in ERRORS if point.is_coroutine or not isinstance(error(), ServerError)]


def cycled(errors: list[Callable[[], Exception]], number: int) -> Callable[[], Exception]:
    return errors[number % len(errors)]


async def attempt(point: Point, error: Callable[[], Exception]) -> Trial:
    injector = Injector(DELIVERY, point, error)
    outcome = await run_once(injector)
    assert injector.has_fired, point
    return Trial(point, type(error()).__name__, outcome._replace(points=[]))


def first_and_last(points: Iterable[Point]) -> list[Point]:
    """Return for each line the first and the last time that it ran."""
    first: dict[tuple[str, int], Point] = {}
    last: dict[tuple[str, int], Point] = {}
    for point in points:
        first.setdefault((point.path, point.line), point)
        last[point.path, point.line] = point
    return sorted({*first.values(), *last.values()})


def report(trials: list[Trial]) -> str:
    """Return the page with the results by module."""
    rows = []
    for path in sorted({trial.point.path for trial in trials}):
        here = [trial for trial in trials if trial.point.path == path]
        counts = Counter(result(trial.outcome) for trial in here)
        lines = len({trial.point.line for trial in here})
        cells = [f"{counts[name]:,}" for name in ("unnoticed", "closed", "ended", "wrong")]
        rows.append(f"| `{path}` | {lines} | {len(here):,} | {' | '.join(cells)} |")
    wrong = sum(bool(trial.outcome.wrong) for trial in trials)
    errors = ", ".join(sorted({trial.error for trial in trials}))
    return f"""# Fault points

Written by `FAULTS=long pytest tests/faults/test_points.py`, a part of `make faults` ({datetime.now(UTC):%Y-%m-%d}):
{len(trials):,} runs, {wrong} false claims.

Each line of the delivery that a scenario runs fails once, at its first and at its last turn, with each of these errors:

{errors} (ServerError only where stores are awaited).

In the scenario, clients of every kind connect, resume, fall behind, acknowledge and get items; afterwards clients whose
connection was closed resume. A model of each client checks every item, checkpoint, `live` and `gap` that
it is sent. A false claim is one of these: a seq is said to be complete while an item is missing, an item comes twice
without the mark `redelivered`, items are out of order, or an item never comes.

| Module | Lines | Runs | All served | Connections closed, resumed | Server ended, restarted | False claims |
| --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(rows)}

The server ends where the error is not in the handling of one item or one connection: then its state may be damaged, and
a restart costs the clients a second.
"""


def result(outcome: Outcome) -> str:
    if outcome.wrong:
        return "wrong"
    if outcome.is_server_ended:
        return "ended"
    return "closed" if outcome.closed else "unnoticed"
