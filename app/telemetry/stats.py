"""Plain integers. This file owns what is counted and the verbs that count it; `catalogue` owns names and meanings.

Only the event loop's thread counts. A broadcast is counted once, not once a recipient: its send latencies arrive as
(seconds, number of sends) pairs, which costs a few additions for thousands of sends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.core.filters.filter_index import Match
from app.core.filters.matching import Outcome
from app.core.protocol.close_codes import DisconnectReason
from app.telemetry import histogram
from app.telemetry.histogram import Example, Histogram
from app.telemetry.labels import (
    Beat,
    Broadcast,
    Encoding,
    Fault,
    Fetch,
    Inbound,
    Intake,
    Invalid,
    Method,
    Operation,
    ProbeResult,
    RateScope,
    Redelivery,
    Refusal,
    Rejection,
    Sent,
    Severity,
    SlowAction,
    Stage,
    StatusClass,
    TokenCheck,
)
from app.telemetry.recovery import RecoveryStats

SLOW_DELIVERY_S = 0.05
"""From here on a delivery leaves an exemplar: what it was, and its trace."""
LATE_S = 0.1
"""From here on a delivery misses the objective."""


_SEVERITIES = {severity.value: severity for severity in Severity} | {"exception": Severity.ERROR}


class FanoutCounts(NamedTuple):
    """What handing one item to its recipients came to; `merged` are matches beyond a connection's first.

    `payload_bytes` are those of one send, `wire_bytes` those of all.
    """

    closed: int
    merged: int
    payload_bytes: int
    sends: Mapping[Encoding, int]
    wire_bytes: Mapping[Encoding, int]
    frames: Mapping[Encoding, int]
    latencies: list[tuple[float, int]]


class Stats:
    """Everything counted since the start."""

    def __init__(self) -> None:  # noqa: PLR0915 - one line a counter
        self.opened = 0
        self.closed: Counter[DisconnectReason] = Counter()
        self.lives = Histogram(histogram.LIFE_S)
        self.refused: Counter[Refusal] = Counter()
        self.token_checks: Counter[TokenCheck] = Counter()
        self.handshakes = Histogram(histogram.REQUEST_S)
        self.beats: Counter[Beat] = Counter()
        self.round_trips = Histogram(histogram.ROUND_TRIP_S)
        self.inbound: Counter[Inbound] = Counter()
        self.invalid: Counter[Invalid] = Counter()
        self.received_bytes = 0
        self.rate_limited: Counter[RateScope] = Counter()
        self.requests_given_up = 0
        self.accepted: Counter[Intake] = Counter()
        self.rejected: Counter[Rejection] = Counter()
        self.fetches: Counter[Fetch] = Counter()
        self.queue_wait = Histogram(histogram.DELIVERY_S)
        self.broadcast: Counter[Broadcast] = Counter()
        self.stages = {stage: Histogram(histogram.WORK_S) for stage in Stage}
        self.recipients = Histogram(histogram.RECIPIENTS)
        self.slots_asked = 0
        self.decisions: Counter[Outcome] = Counter()
        self.misses: Counter[Outcome] = Counter()
        self.sends: Counter[Sent] = Counter()
        self.late_items = 0
        self.delivery = Histogram(histogram.DELIVERY_S)
        self.slow: Counter[SlowAction] = Counter()
        self.recovery = RecoveryStats()
        self.payload_bytes: Counter[Encoding] = Counter()
        self.wire_bytes: Counter[Encoding] = Counter()
        self.frames: Counter[Encoding] = Counter()
        self.requests: Counter[tuple[str, Method, StatusClass]] = Counter()
        self.request_methods: tuple[tuple[str, Method], ...] = ()
        self.request_times: dict[str, Histogram] = {}
        self.db_times = {operation: Histogram(histogram.REQUEST_S) for operation in Operation}
        self.db_faults: Counter[tuple[Operation, Fault]] = Counter()
        self.loop_lag = Histogram(histogram.LOOP_LAG_S)
        self.log_lines: Counter[Severity] = Counter()
        self.probes: Counter[ProbeResult] = Counter()
        self.probe_times = Histogram(histogram.DELIVERY_S)
        self.last_loop_at = self.last_item_at = self.last_probe_at = 0.0
        self.scrape_s = 0.0
        self.scrape_errors = 0

    def connection_opened(self) -> None:
        self.opened += 1

    def connection_closed(self, ending: DisconnectReason, life_s: float) -> None:
        self.closed[ending] += 1
        self.lives.observe(life_s)
        if ending is DisconnectReason.HEARTBEAT_TIMEOUT:
            self.beats[Beat.TIMEOUT] += 1

    def pong_received(self, round_trip_s: float) -> None:
        self.beats[Beat.PONG] += 1
        self.round_trips.observe(round_trip_s)

    def message_refused(self, why: Invalid) -> None:
        self.invalid[why] += 1
        if why is Invalid.RATE_LIMITED:
            self.rate_limited[RateScope.MESSAGE] += 1

    def item_taken(self, waited_s: float, now: float) -> None:
        """Count an item that leaves the queue; `now` in Unix seconds."""
        self.queue_wait.observe(waited_s)
        self.last_item_at = now

    def slots_to_ask(self, slots: int) -> None:
        """Count how many decisions an item calls for, before any is made."""
        self.slots_asked += slots

    def item_decided(self, match: Match) -> None:
        """Count one item's decisions, and how many it reached."""
        decisions, misses = self.decisions, self.misses
        decisions[Outcome.MATCHED] += len(match.recipients)
        decisions[Outcome.IMPACT] += match.impact
        decisions[Outcome.CATEGORY] += match.category
        decisions[Outcome.SOURCE] += match.source
        decisions[Outcome.KEYWORD] += match.keyword
        decisions[Outcome.ERROR] += match.error
        misses[Outcome.IMPACT] += match.misses.impact
        misses[Outcome.CATEGORY] += match.misses.category
        misses[Outcome.SOURCE] += match.misses.source
        misses[Outcome.KEYWORD] += match.misses.keyword
        self.recipients.observe(len(match.recipients))

    def item_undecided(self, slots: int) -> None:
        """Count an item whose matching failed: every slot's decision was an error."""
        self.decisions[Outcome.ERROR] += slots

    def item_failed(self) -> None:
        """Count an item that could not be broadcast."""
        self.broadcast[Broadcast.ERROR] += 1

    def item_sent(self, fanned: FanoutCounts) -> None:
        """Count one item that went out, and its sends."""
        written = sum(fanned.sends.values())
        self.broadcast[Broadcast.DELIVERED if written + fanned.closed else Broadcast.UNMATCHED] += 1
        self.sends[Sent.WRITTEN] += written
        self.sends[Sent.CLOSED] += fanned.closed
        self.sends[Sent.MERGED] += fanned.merged
        for encoding, sends in fanned.sends.items():
            self.payload_bytes[encoding] += fanned.payload_bytes * sends
        self.wire_bytes.update(fanned.wire_bytes)
        self.frames.update(fanned.frames)
        for seconds, times in fanned.latencies:
            self.delivery.observe(seconds, times)
        # The stamps rise, so the last one is that of the last recipient.
        self.late_items += written > 0 and fanned.latencies[-1][0] > LATE_S

    def item_replayed(self, payload_bytes: int, frame_bytes: int, encoding: Encoding, again: Redelivery | None) -> None:
        """Count one item that a connection got from the log; `again`: it went to that client before, and why."""
        self.recovery.item_replayed(again)
        self.payload_bytes[encoding] += payload_bytes
        self.wire_bytes[encoding] += frame_bytes
        self.frames[encoding] += 1

    def delivery_was_slow(self, example: Example) -> None:
        self.delivery.exemplify(example)

    def staged(self, times: Iterable[tuple[Stage, float]]) -> None:
        """Count what one broadcast spent on each stage, in seconds."""
        for stage, seconds in times:
            self.stages[stage].observe(seconds)

    def probe_arrived(self, seconds: float, now: float) -> None:
        """Count a probe that came back to the canary; `now` in Unix seconds."""
        self.probes[ProbeResult.OK] += 1
        self.probe_times.observe(seconds)
        self.last_probe_at = now

    def request_answered(self, route: str, method: Method, status: int, seconds: float) -> None:
        """Count an HTTP request; `route` is one of `know_routes`."""
        self.requests[route, method, StatusClass(f"{status // 100}xx")] += 1
        self.request_times[route].observe(seconds)

    def know_routes(self, routes: Iterable[tuple[str, Method]]) -> None:
        """Say once which routes and methods there are, so that their series are there from the start."""
        self.request_methods = tuple(dict.fromkeys(routes))
        self.request_times = {route: Histogram(histogram.REQUEST_S) for route, _ in self.request_methods}

    def database_worked(self, operation: Operation, seconds: float, fault: Fault | None = None) -> None:
        self.db_times[operation].observe(seconds)
        if fault is not None:
            self.db_faults[operation, fault] += 1

    def line_logged(self, level: str) -> None:
        """Count a log line that somebody may have to read; others are not counted."""
        severity = _SEVERITIES.get(level)
        if severity is not None:
            self.log_lines[severity] += 1
