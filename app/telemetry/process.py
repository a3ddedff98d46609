"""The process_* metrics, under the names that Prometheus's client libraries use.

prometheus_client's collector counts descriptors by listing /proc/self/fd, which takes milliseconds on the event loop
with thousands of connections. Linux 6.2 and later report the number as the size of that folder.
"""

import os
import resource
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_SELF = Path("/proc/self")
# The index of `starttime`, field 22 of /proc/self/stat (proc(5)), among the fields that follow the name in parentheses.
_START_FIELD = 19

_log = structlog.get_logger("metrics")


class ProcessMetrics(Collector):
    """Collects CPU time, and memory, start time and descriptors from /proc. Where /proc does not exist (not Linux) or
    cannot be read (no free descriptor), only CPU time is exposed.

    `failed` is called for a scrape at which /proc exists and cannot be read.
    """

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed
        self._has_proc = _SELF.exists()
        self._page_bytes = resource.getpagesize()
        self._started_at = 0.0

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the collector is registered without the names of its metrics, and /proc is not read when it
        is registered.
        """
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield CPU time and, on Linux, memory, start time and descriptors."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = used.ru_utime + used.ru_stime
        yield CounterMetricFamily("process_cpu_seconds", "Total user and system CPU time spent in seconds.", seconds)
        if not self._has_proc:
            return
        try:
            read = list(self._read())
        # Without a free descriptor /proc cannot be opened, and that is when the other metrics matter most.
        except (OSError, ValueError) as error:
            _log.error("process_metrics_failed", error=repr(error))
            self._failed()
        else:
            yield from (GaugeMetricFamily(name, text, value) for name, text, value in read)

    def _read(self) -> Iterable[tuple[str, str, float]]:
        self._started_at = self._started_at or _started_at()
        virtual_pages, resident_pages, *_ = (_SELF / "statm").read_text().split()
        most_descriptors, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        virtual, resident = int(virtual_pages) * self._page_bytes, int(resident_pages) * self._page_bytes
        yield "process_virtual_memory_bytes", "Virtual memory size in bytes.", virtual
        yield "process_resident_memory_bytes", "Resident memory size in bytes.", resident
        yield "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", self._started_at
        yield "process_max_fds", "Maximum number of open file descriptors.", most_descriptors
        yield "process_open_fds", "Number of open file descriptors.", count_entries(_SELF / "fd")


def count_entries(folder: Path) -> int:
    """Return the number of entries in a folder of /proc. Since Linux 6.2 the folder's size is that number; before, it
    is 0 and the folder is listed.
    """
    return folder.stat().st_size or sum(1 for _ in folder.iterdir())


def _started_at() -> float:
    """Return the process's start in Unix seconds: its ticks since the boot added to the time of the boot (proc(5))."""
    ticks = int((_SELF / "stat").read_text().rpartition(")")[2].split()[_START_FIELD])
    [booted] = [line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime ")]
    return float(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
