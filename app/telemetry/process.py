"""The process_* metrics, under the names that Prometheus's client libraries use.

prometheus_client's collector counts descriptors by listing /proc/self/fd. With thousands of connections that takes
milliseconds on the event loop. Here the size of that folder is read instead, which is the number of descriptors in
Linux 6.2 and later.
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
# The index of `starttime`, field 22 of /proc/self/stat (proc(5)), among the fields that follow the process's name in
# parentheses.
_START_FIELD = 19

_log = structlog.get_logger("metrics")


class ProcessMetrics(Collector):
    """Collects CPU time and, from /proc, memory, start time and descriptors. If /proc does not exist (not Linux) or
    cannot be read (no free descriptor), only CPU time is exposed.

    `failed` is called at each scrape at which /proc exists but cannot be read.
    """

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed
        self._has_proc = _SELF.exists()
        self._page_bytes = resource.getpagesize()
        self._started_at = 0.0

    def describe(self) -> Iterable[Metric]:
        """Return no metric, so the registry registers this collector without the names of its metrics and does not read
        /proc at registration.
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
        # /proc cannot be opened if the process has no free descriptor. Just then the server's other metrics matter
        # most, so the scrape must not fail.
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
    """Return the number of entries in a folder of /proc. In Linux 6.2 and later, the size of /proc/self/fd is this
    number. If the size of a folder is 0, its entries are listed and counted.
    """
    return folder.stat().st_size or sum(1 for _ in folder.iterdir())


def _started_at() -> float:
    """Return the Unix time in seconds at which the process started (proc(5)): the time of the boot, plus the clock
    ticks from the boot to the start of the process.
    """
    ticks = int((_SELF / "stat").read_text().rpartition(")")[2].split()[_START_FIELD])
    [booted] = [line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime ")]
    return float(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
