"""Counters of the server itself: requests, database, event loop, log lines, canary, scrapes."""

from collections import Counter
from collections.abc import Iterable

from app.telemetry import histogram
from app.telemetry.histogram import Histogram
from app.telemetry.labels import Fault, Method, Operation, ProbeResult, Severity, StatusClass

_SEVERITIES = {severity.value: severity for severity in Severity} | {"exception": Severity.ERROR}


class ServerStats:
    """Counters and histograms of the server itself since the start of the process. `last_probe_at` is the Unix time in
    seconds at which a probe of the canary last arrived, 0 before the first probe.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, Method, StatusClass]] = Counter()
        self.request_methods: tuple[tuple[str, Method], ...] = ()
        self.request_times: dict[str, Histogram] = {}
        self.slow_requests = self.slow_readers = self.too_many_answers = self.too_many_bodies = 0
        self.refused_connections = self.bad_proxy_headers = 0
        self.db_times = {operation: Histogram(histogram.REQUEST_S) for operation in Operation}
        self.db_faults: Counter[tuple[Operation, Fault]] = Counter()
        self.log_rows_skipped = 0
        self.loop_lag = Histogram(histogram.LOOP_LAG_S)
        self.log_lines: Counter[Severity] = Counter()
        self.probes: Counter[ProbeResult] = Counter()
        self.probe_times = Histogram(histogram.DELIVERY_S)
        self.last_probe_at = 0.0
        self.scrape_s = 0.0
        self.scrape_errors = 0

    def register_routes(self, routes: Iterable[tuple[str, Method]]) -> None:
        """Register every route and method once, so that their series exist from the start."""
        self.request_methods = tuple(dict.fromkeys(routes))
        self.request_times = {route: Histogram(histogram.REQUEST_S) for route, _ in self.request_methods}

    def record_request(self, route: str, method: Method, status: int, seconds: float) -> None:
        """Count an HTTP request; `route` must be a registered route."""
        self.requests[route, method, StatusClass(f"{status // 100}xx")] += 1
        self.request_times[route].observe(seconds)

    def record_slow_request(self) -> None:
        """Count an HTTP request whose head or body arrived too slowly: the connection was aborted, or the answer was
        408.
        """
        self.slow_requests += 1

    def record_slow_reader(self) -> None:
        """Count an HTTP connection that was aborted because its client did not read an answer."""
        self.slow_readers += 1

    def record_too_many_answers(self) -> None:
        """Count a REST call that was refused because too many answers were on their way to its address."""
        self.too_many_answers += 1

    def record_too_many_bodies(self) -> None:
        """Count a REST call that was refused because the bodies of its address held too many bytes."""
        self.too_many_bodies += 1

    def record_bad_proxy_header(self) -> None:
        """Count a connection of a trusted proxy that did not begin with a header of the PROXY protocol."""
        self.bad_proxy_headers += 1

    def record_refused_connection(self) -> None:
        """Count an HTTP connection that was aborted at once because its address has too many."""
        self.refused_connections += 1

    def record_database(self, operation: Operation, seconds: float, fault: Fault | None = None) -> None:
        self.db_times[operation].observe(seconds)
        if fault is not None:
            self.db_faults[operation, fault] += 1

    def record_skipped_rows(self, rows: int) -> None:
        """Count items that are stored and cannot be read back, so that they were skipped."""
        self.log_rows_skipped += rows

    def record_loop_lag(self, seconds: float) -> None:
        """Record by how many seconds the event loop woke a timer too late."""
        self.loop_lag.observe(seconds)

    def record_log_line(self, level: str) -> None:
        """Count a log line of level warning or above. Lines of other levels are not counted."""
        severity = _SEVERITIES.get(level)
        if severity is not None:
            self.log_lines[severity] += 1

    def record_probe(self, seconds: float, now: float) -> None:
        """Count a probe that the canary received; `now` in Unix seconds."""
        self.probes[ProbeResult.OK] += 1
        self.probe_times.observe(seconds)
        self.last_probe_at = now

    def record_probe_failure(self, result: ProbeResult) -> None:
        self.probes[result] += 1

    def record_scrape(self, seconds: float) -> None:
        """Record how many seconds the last collection took."""
        self.scrape_s = seconds

    def record_scrape_error(self) -> None:
        """Count a gauge, or the process metrics, that could not be read at a scrape."""
        self.scrape_errors += 1
