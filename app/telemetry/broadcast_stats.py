"""Counters of the broadcast: decisions, sends, latencies and bytes.

An item's broadcast is counted in one call for all of its recipients. Its send latencies arrive as (seconds, number of
sends) pairs, so thousands of sends cost only a few additions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.core.filters.filter_index import Match
from app.core.filters.matching import Outcome
from app.telemetry import histogram
from app.telemetry.histogram import Example, Histogram
from app.telemetry.labels import Broadcast, Encoding, Sent, Stage

SLOW_DELIVERY_S = 0.05
"""If the slowest send of an item is more than this many seconds after the item's acceptance, the item leaves an
exemplar with its item id and trace id.
"""
LATE_S = 0.1
"""The delivery objective: an item counts as late if its last send is more than this many seconds
after its acceptance.
"""


class FanoutCounts(NamedTuple):
    """The counts of one item's fan-out.

    `closed` counts sends that failed because the connection was closing. `merged` counts matching slots beyond the
    first of a connection: one send covers them all. `failed` counts matching slots to which an error kept the item from
    being sent. `payload_bytes` is the size of the item's JSON. Three fields count
    by encoding: `sends` the sends, `wire_bytes` the bytes of all these sends, and `frames` the frames that were
    encoded. Each entry of `latencies` is a pair: the seconds since the item was accepted, and the number of sends with
    this latency.
    """

    closed: int
    merged: int
    failed: int
    payload_bytes: int
    sends: Mapping[Encoding, int]
    wire_bytes: Mapping[Encoding, int]
    frames: Mapping[Encoding, int]
    latencies: list[tuple[float, int]]


class BroadcastStats:
    """Counters and histograms of the broadcast since the start of the process. Two times are in Unix seconds, and 0
    before they are first set: `last_loop_at`, when the broadcaster last began a round of its loop, and `last_item_at`,
    when it last broadcast an item.
    """

    def __init__(self) -> None:
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
        self.payload_bytes: Counter[Encoding] = Counter()
        self.wire_bytes: Counter[Encoding] = Counter()
        self.frames: Counter[Encoding] = Counter()
        self.last_loop_at = self.last_item_at = 0.0

    def record_tick(self, now: float) -> None:
        """Record that the broadcaster begins a round of its loop, with or without an item in the queue; `now` is in
        Unix seconds.
        """
        self.last_loop_at = now

    def record_taken(self, waited_s: float, now: float) -> None:
        """Record that the broadcaster took an item from its queue, `waited_s` seconds after the item was accepted;
        `now` is in Unix seconds.
        """
        self.queue_wait.observe(waited_s)
        self.last_item_at = now

    def record_slots(self, slots: int) -> None:
        """Add the number of slots that an item is about to be matched against: the decisions on it must sum to this
        number.
        """
        self.slots_asked += slots

    def record_decisions(self, match: Match) -> None:
        """Count the decisions on one item, and how many slots it matched."""
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

    def record_undecided(self, slots: int) -> None:
        """Count the decisions on an item whose matching failed: one error for each of the `slots` slots."""
        self.decisions[Outcome.ERROR] += slots

    def record_failure(self) -> None:
        """Count an item that could not be broadcast."""
        self.broadcast[Broadcast.ERROR] += 1

    def record_fanout(self, counts: FanoutCounts) -> None:
        """Count one broadcast item and its sends."""
        written = sum(counts.sends.values())
        result = Broadcast.DELIVERED if written + counts.closed else Broadcast.UNMATCHED
        self.broadcast[Broadcast.ERROR if counts.failed else result] += 1
        self.sends[Sent.WRITTEN] += written
        self.sends[Sent.CLOSED] += counts.closed
        self.sends[Sent.MERGED] += counts.merged
        self.sends[Sent.FAILED] += counts.failed
        for encoding, sends in counts.sends.items():
            self.payload_bytes[encoding] += counts.payload_bytes * sends
        self.wire_bytes.update(counts.wire_bytes)
        self.frames.update(counts.frames)
        for seconds, sends in counts.latencies:
            self.delivery.observe(seconds, sends)
        # Latencies are in the order of the sends, so the last one is that of the last recipient.
        self.late_items += written > 0 and counts.latencies[-1][0] > LATE_S

    def record_single_send(self, payload_bytes: int, frame_bytes: int, encoding: Encoding) -> None:
        """Count the bytes and the frame of an item that was read from the log and encoded for one connection."""
        self.payload_bytes[encoding] += payload_bytes
        self.wire_bytes[encoding] += frame_bytes
        self.frames[encoding] += 1

    def record_slow_delivery(self, example: Example) -> None:
        self.delivery.exemplify(example)

    def record_stages(self, times: Iterable[tuple[Stage, float]]) -> None:
        """Record how many seconds one broadcast spent on each stage."""
        for stage, seconds in times:
            self.stages[stage].observe(seconds)
