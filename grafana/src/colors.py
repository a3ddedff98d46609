"""The color of each label value: good and bad look the same on every panel, and no two values of one set look alike."""

from collections.abc import Iterable

from app.telemetry.catalogue import COUNTERS
from app.telemetry.distributions import HISTOGRAMS
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
    *("super-light-purple", "super-light-green", "super-light-orange", "light-red"),
    *("super-light-yellow", "super-light-red", "semi-dark-blue", "semi-dark-purple", "semi-dark-green"),
    *("semi-dark-orange", "semi-dark-red"),
)


def colors_of(words: Iterable[str]) -> dict[str, str]:
    """Return a distinct color for every value of a closed set; values that mean good or bad have fixed colors."""
    fixed = {GREEN: _GOOD, ORANGE: _WATCH, RED: _BAD}
    others = iter(_OTHERS)
    chosen: dict[str, str] = {}
    for word in words:
        telling = next((color for color, said in fixed.items() if word in said), None)
        chosen[word] = telling if telling and telling not in chosen.values() else next(others)
    return chosen


def words_of(metric: str, label: str) -> tuple[str, ...]:
    """Return the closed set of a label, or nothing for a metric of another exporter."""
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
