"""Render a registry as text, in the formats Prometheus 0.0.4 and OpenMetrics 1.0.

prometheus_client checks and escapes every name and label of every sample at each scrape, on the event loop, which takes
longer than reading the values. The text before a sample's value never changes, so here it is built once and cached.
tests/observability/test_metrics.py compares the result with prometheus_client's output.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import chain
from typing import Protocol

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Format(Enum):
    """The text formats in which a scrape can be answered. Only OpenMetrics has exemplars."""

    TEXT = "text"
    OPENMETRICS = "openmetrics"


class Registry(Protocol):
    """A collection of metric families: a prometheus_client registry, or one that is restricted to some names."""

    def collect(self) -> Iterable[Metric]:
        """Return every family with its samples."""


class Renderer:
    """Renders registries, and caches the text of each sample's name and labels. The cache is bounded, because every
    label has a fixed set of values.
    """

    def __init__(self) -> None:
        self._prefixes: dict[tuple[str, ...], str] = {}

    def render(self, registry: Registry, form: Format) -> bytes:
        """Return every family of a registry, with its samples, as UTF-8 text in the given format."""
        is_open = form is Format.OPENMETRICS
        lines = chain.from_iterable(self._family(metric, is_open) for metric in registry.collect())
        return "".join((*lines, "# EOF\n" if is_open else "")).encode()

    def _family(self, metric: Metric, is_open: bool) -> Iterable[str]:
        yield _open_head(metric) if is_open else _text_head(metric)
        for sample in metric.samples:
            example = _example(sample.exemplar) if is_open and sample.exemplar else ""
            yield f"{self._prefix(sample)} {_number(sample.value)}{example}\n"

    def _prefix(self, sample: Sample) -> str:
        """Return a sample's name with its labels."""
        key = (sample.name, *sample.labels.values())
        prefix = self._prefixes.get(key)
        if prefix is None:
            prefix = self._prefixes[key] = sample.name + (_braces(sample.labels) if sample.labels else "")
        return prefix


def _text_head(metric: Metric) -> str:
    suffix = {"counter": "_total", "info": "_info"}.get(metric.type, "")
    kind = "gauge" if metric.type == "info" else metric.type
    name, text = metric.name + suffix, metric.documentation.translate(_HELP_ESCAPES)
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _open_head(metric: Metric) -> str:
    return f"# HELP {metric.name} {metric.documentation.translate(_ESCAPES)}\n# TYPE {metric.name} {metric.type}\n"


def _braces(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(labels.items()))
    return f"{{{inner}}}"


def _example(exemplar: Exemplar) -> str:
    at = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {_braces(exemplar.labels)} {_number(exemplar.value)}{at}"


def _number(value: float) -> str:
    # Uses prometheus_client's own function, so that numbers are written as in its output. The function has no type
    # annotations.
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
