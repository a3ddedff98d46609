"""Which colour a word has. This file owns that good and bad look the same on every panel, and that no two words of one
closed set look alike.
"""

from collections.abc import Iterable

from app.telemetry.catalogue import COUNTERS, HISTOGRAMS
from app.telemetry.labels import StatusClass
from app.telemetry.stats import Stats

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"
NEUTRAL = "text"

_GOOD = frozenset({"matched", "written", "delivered", "complete", "caught_up", "ok", "pong", "2xx", "new", "client"})
_WATCH = frozenset({"closed", "timeout", "4xx", "network", "invalid", "lagging", "late", "capacity", "warning"})
_BAD = frozenset({"error", "internal_error", "5xx", "failed", "storage", "io", "gap", "unknown", "disconnected"})
_OTHERS = (
    *("blue", "purple", "yellow", "light-blue", "dark-purple", "semi-dark-yellow", "dark-blue", "light-purple"),
    *("dark-green", "light-orange", "dark-red", "light-yellow", "light-green", "dark-orange", "super-light-blue"),
    *("super-light-purple", "super-light-green"),
)


def colours_of(words: Iterable[str]) -> dict[str, str]:
    """Give every word of a closed set a colour of its own; words that say good or bad have theirs everywhere."""
    fixed = {GREEN: _GOOD, ORANGE: _WATCH, RED: _BAD}
    others = iter(_OTHERS)
    chosen: dict[str, str] = {}
    for word in words:
        telling = next((colour for colour, said in fixed.items() if word in said), None)
        chosen[word] = telling if telling and telling not in chosen.values() else next(others)
    return chosen


def words_of(metric: str, label: str) -> tuple[str, ...]:
    """Give the closed set of a label of ours; none for a metric that is not ours."""
    families = {f"{family.name}_total": family for family in COUNTERS} | {
        f"{family.name}{suffix}": family for family in HISTOGRAMS for suffix in ("_count", "_sum", "_bucket")
    }
    family = families.get(metric)
    if family is None:
        return ()
    if label == "code":
        return tuple(code.value for code in StatusClass)
    place = family.labels.index(label)
    return tuple(dict.fromkeys(labels[place] for labels in family.read(Stats())))
