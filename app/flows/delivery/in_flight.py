"""The state of a batch of items while it is written, and the connections that were not sent all of it because of an
error.

After an error the server must not claim that a client has everything. So a batch records which writes began and which
ended. From this it follows for every connection whether it was sent all of its items, none of them, or an unknown part.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from app.core.protocol import frames
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.channel import Channel
from app.flows.delivery.session import Session
from app.flows.delivery.slots import Slots
from app.flows.visibility import without_original
from app.ports.log import Record
from app.telemetry.broadcast_stats import FanoutCounts
from app.telemetry.labels import Encoding


class Outgoing(NamedTuple):
    """An item to send: its record, its encoded message, and the slots that match it."""

    record: Record
    message: frames.EncodedMessage
    recipients: BitMap


class FanoutResult(NamedTuple):
    """The sessions that the caller must act on after a batch; a session may occur more than once.

    Those in `full` have too many buffered bytes or a full ack window. Those in `due` must be sent a checkpoint. The
    other two are empty unless an error occurred. `unsent` has the sessions that miss items, each with the seq after
    which it was sent none of the batch. For those in `unknown` it is unknown which items they were sent.
    """

    full: list[Session]
    due: list[Session]
    unsent: dict[Session, int]
    unknown: list[Session]


class InFlight:
    """One item of a batch while it is sent, and counts of its sends.

    `attempted` counts the connections to write to, including those that turn out to be closing, and `failed` the
    matching slots to which an error kept the item from being sent. `channels_of` has the matching channels of each
    connection that needs frames of its own. Each pair in `latencies` is the seconds from acceptance to sending, and the
    number of sends that took this long.
    """

    __slots__ = (
        *("attempted", "channels_of", "failed", "frames", "latencies", "messages", "recipients", "record", "sends"),
        "wire_bytes",
    )

    def __init__(self, outgoing: Outgoing) -> None:
        self.record, message, self.recipients = outgoing
        # The encoded messages, by the names of the channels that they list, and whether they name no other item.
        # Connections with the same names, restriction and deflate window share one frame.
        self.messages: dict[tuple[tuple[str, ...], bool], frames.EncodedMessage] = {((), False): message}
        self.attempted = self.failed = 0
        self.channels_of: dict[Session, list[Channel]] = {}
        self.sends: Counter[Encoding] = Counter()
        self.wire_bytes: Counter[Encoding] = Counter()
        self.frames: Counter[Encoding] = Counter()
        self.latencies: list[tuple[float, int]] = []

    def message_for(self, names: tuple[str, ...] = (), *, is_restricted: bool) -> frames.EncodedMessage:
        """Return the item's message that lists the channels `names`. `is_restricted` is whether the recipients' tokens
        hide items for good.
        """
        key = names, is_restricted and self.record.item.duplicate_of is not None
        if key not in self.messages:
            record = without_original(self.record) if key[1] else self.record
            payload = frames.news_item(record.seq, record.accepted_at, record.item_json, names)
            self.messages[key] = frames.EncodedMessage(payload)
        return self.messages[key]

    def count(self, window_bits: int, frame_bytes: int, sends: int) -> None:
        """Count that one frame of the item, with `frame_bytes` bytes, was written `sends` times."""
        encoding = encoding_of(window_bits)
        self.sends[encoding] += sends
        self.wire_bytes[encoding] += frame_bytes * sends

    def count_frames(self) -> None:
        """Count the frames that were encoded for the item: one for each message and deflate window in use."""
        for message in self.messages.values():
            self.frames.update(map(encoding_of, message.frames))

    def totals(self) -> FanoutCounts:
        """Return the counts of the item's sends, after all of them."""
        return FanoutCounts(
            closed=self.attempted - self.sends.total(),
            merged=len(self.recipients) - self.attempted - self.failed,
            failed=self.failed,
            payload_bytes=len(self.record.item_json),
            sends=self.sends,
            wire_bytes=self.wire_bytes,
            frames=self.frames,
            latencies=self.latencies,
        )


class Batch:
    """A batch while it is sent.

    Two sets of slots are kept for the connections that share frames: to those in `begun` a write began, and for those
    in `finished` it is known what became of it. The other connections are written to item by item: `written_up_to` has
    the seq of the last item that was written to each, and those in `stopped` are sent no more of the batch.
    """

    __slots__ = ("begun", "finished", "items", "nearly_due", "result", "stopped", "written_up_to")

    def __init__(self, batch: Sequence[Outgoing]) -> None:
        self.items = list(map(InFlight, batch))
        self.result = FanoutResult([], [], {}, [])
        # The slots whose checkpoint may become due with the items of the batch.
        self.nearly_due = BitMap()
        self.begun = BitMap()
        self.finished = BitMap()
        self.written_up_to: dict[Session, int] = {}
        self.stopped: set[Session] = set()

    @property
    def last_seq(self) -> int:
        return self.items[-1].record.seq

    def finish(self, slots: BitMap, sends: int, failed: int, items: Iterable[tuple[InFlight, int]], bits: int) -> None:
        """Record that the writes to `slots` ended: `sends` of them succeeded, and the outcome of `failed` is unknown.

        `items` has the items that were written, each with the bytes of its frame; `bits` is their deflate window.
        """
        self.finished |= slots
        for item, frame_bytes in items:
            item.attempted += len(slots) - failed
            item.failed += failed
            item.count(bits, frame_bytes, sends)

    def fail(self, item: InFlight, session: Session, *, is_begun: bool) -> None:
        """Record that an item could not be sent to a connection that needs frames of its own. `is_begun` is whether the
        error occurred after the write began.
        """
        item.failed += len(item.channels_of[session])
        self.stopped.add(session)
        if is_begun:
            self.result.unknown.append(session)
        else:
            self.result.unsent[session] = item.record.seq - 1

    def skip(self, item: InFlight, session: Session) -> None:
        """Record that an item is not sent to a connection that is in `stopped`."""
        item.failed += len(item.channels_of[session])

    def interrupt(self, slots: Slots) -> None:
        """Record that the batch was interrupted by an error: add to the result every session that was not sent all of
        its items, or for which this is unknown.
        """
        uncertain = self.begun - self.finished
        self.result.unknown.extend(slots.sessions_of(uncertain))
        first_seq = self.items[0].record.seq
        for item in self.items:
            shared = item.recipients - slots.unshared - self.finished
            for session in slots.sessions_of(shared - uncertain):
                self.result.unsent[session] = first_seq - 1
            own = slots.sessions_of(item.recipients & slots.unshared)
            missed = [session for session in own if self.written_up_to.get(session, 0) < item.record.seq]
            for session in missed:
                self.result.unsent.setdefault(session, item.record.seq - 1)
            item.failed += len(shared) + len(missed)


def encoding_of(window_bits: int) -> Encoding:
    """Return the metric label of a deflate window: IDENTITY for UNCOMPRESSED, otherwise DEFLATE."""
    return Encoding.IDENTITY if window_bits == UNCOMPRESSED else Encoding.DEFLATE
