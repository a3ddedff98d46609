"""docs/performance.md: the table of figures, and the plot beside it."""

import os
import platform
import time
from pathlib import Path

from bench.contestants import OURS
from bench.matching import FEW as FEW_FILTERS
from bench.matching import SOME, Deciding
from bench.measurements import BACKLOG_ITEMS, FEW, MANY, Effort, Measured
from bench.rows import Row, rows

_BAR_PX, _LINE_PX, _NAMES_PX = 460, 26, 170


def write(measured: Measured, effort: Effort, page: Path) -> str:
    """Write the figures between their two marks in the page, and the plot beside it; return what was written."""
    text = figures(measured, effort)
    replace(page, "figures", text)
    page.with_name("performance.svg").write_text(plot(measured), encoding="utf-8")
    return text


def replace(page: Path, name: str, text: str) -> None:
    """Replace the text between two marks of a page."""
    begin, end = (f"<!-- {name}: {place} -->" for place in ("begin", "end"))
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, behind = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text}{end}{behind}", encoding="utf-8")


def figures(measured: Measured, effort: Effort) -> str:
    """Return the machine, the table of targets, and the table of contestants, as Markdown."""
    tables = f"{_targets(list(rows(measured)))}\n{_contestants(measured)}"
    rounds = "1 round" if effort.rounds == 1 else f"medians of {effort.rounds} interleaved rounds"
    beginning = machine("make bench" if effort.is_whole else "make bench-quick").removesuffix(".")
    return f"{beginning}; {rounds}.\n\n{tables}\n![Deliveries a second](performance.svg)\n"


def machine(command: str) -> str:
    """Return the command, the date and the machine."""
    info = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "unknown")
    return (
        f"`{command}`, {time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} cores {model}, Linux"
        f" {platform.release()}, Python {platform.python_version()}."
    )


def _targets(table: list[Row]) -> str:
    lines = ["| | reached | target | |", "|---|---:|---:|---|"]
    for row in table:
        sign = "≤" if row.is_at_most else "≥"
        verdict = "yes" if row.is_reached else "no"
        lines.append(f"| {row.what} | {row.value:.2f} {row.unit} | {sign} {row.target:g} {row.unit} | {verdict} |")
    return "\n".join(lines) + "\n"


def _contestants(measured: Measured) -> str:
    lines = [
        f"| {MANY:,} connections, one item at a time | deliveries/s | user µs | system µs | connections/s |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, one in measured.fan_out.items():
        speed = f"{one.deliveries_per_s:,.0f} | {one.user_us:.2f} | {one.system_us:.2f}"
        lines.append(f"| {name} | {speed} | {one.storm_per_s:,.0f} |")
    backlog = ", ".join(f"{name} {one.deliveries_per_s:,.0f}/s" for name, one in measured.backlog.items())
    paced = ", ".join(f"{name} {one.p50_ms:.1f} / {one.p99_ms:.1f} ms" for name, one in measured.paced.items())
    publishing = measured.publishing
    return "\n".join(
        (
            *lines,
            "",
            f"Backlog of {BACKLOG_ITEMS} items to {FEW:,}: {backlog}.",
            f"5 items/s to {MANY:,}, p50 / p99: {paced}.",
            f"Durable: {publishing.batches_per_s:,.0f} items/s in batches of 100,"
            f" {publishing.singles_per_s:,.0f} one by one.",
            _deciding(measured.deciding),
            "",
        )
    )


def _deciding(one: Deciding) -> str:
    return (
        f"Deciding, µs an item: {one.few_us:.0f} at {FEW_FILTERS:,} filters, {one.index_us:.0f} at {SOME:,},"
        f" {one.many_us:.0f} at {one.filters:,} ({one.matched:.1%} matched); the original's loop {one.loop_us:,.0f}"
        f" at {SOME:,}."
    )


def plot(measured: Measured) -> str:
    """Draw the deliveries a second as bars (SVG)."""
    most = max(one.deliveries_per_s for one in measured.fan_out.values())
    height = _LINE_PX * len(measured.fan_out) + 10
    bars = []
    for place, (name, one) in enumerate(measured.fan_out.items()):
        top, wide = place * _LINE_PX + 8, one.deliveries_per_s / most * _BAR_PX
        fill = "#d9730d" if name == OURS.name else "#8a94a6"
        bars.append(
            f'<text x="{_NAMES_PX - 8}" y="{top + 13}" text-anchor="end">{name}</text>'
            f'<rect x="{_NAMES_PX}" y="{top}" width="{wide:.1f}" height="18" rx="2" fill="{fill}"/>'
            f'<text x="{_NAMES_PX + wide + 6:.1f}" y="{top + 13}">{one.deliveries_per_s / 1000:,.0f}k/s</text>'
        )
    wide = _NAMES_PX + _BAR_PX + 80
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {height}"'
        ' font-family="sans-serif" font-size="13">'
        f'<rect width="{wide}" height="{height}" fill="#fff"/>{"".join(bars)}</svg>\n'
    )
