"""`make bench` and `make bench-quick`: all measurements beside the peers."""

import sys
from pathlib import Path

from bench import report
from bench.measurements import QUICK, WHOLE, Effort, measure
from bench.running import run

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


async def main(effort: Effort) -> None:
    """Measure; a whole run is written to docs/performance.md, a quick one is printed."""
    measured = await measure(effort)
    text = report.write(measured, effort, PAGE) if effort.is_whole else report.figures(measured, effort)
    sys.stdout.write(f"\n{text}")


if __name__ == "__main__":
    sys.exit(run(main(QUICK if "--quick" in sys.argv else WHOLE), core=1))
