"""Send items and checkpoints to connections, and make sure that no error leads to a false checkpoint.

A checkpoint tells a client that it has every matching item up to a seq. So a connection that an error kept from being
sent an item leaves the live set and reads the item from the log, or is disconnected.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog

from app.core.limits import DeliveryLimits
from app.core.protocol import server_messages
from app.flows.delivery.fanout import Fanout
from app.flows.delivery.in_flight import Outgoing
from app.flows.delivery.live import LiveSet
from app.flows.delivery.session import Session
from app.ports.clock import Clock
from app.ports.transport import SendMany
from app.telemetry.stats import Stats

# A connection that reads the log is sent a checkpoint after this many items read, even if few of them match.
_CHECKPOINT_READ_ITEMS = 1_000

_log = structlog.get_logger("delivery")


class LiveDelivery:
    """Sends batches of items to the live connections, and checkpoints to all connections.

    `last_item_at` is when the live position last advanced (monotonic seconds; None before the first item).
    """

    def __init__(self, live: LiveSet, send_many: SendMany, limits: DeliveryLimits, clock: Clock, stats: Stats) -> None:
        self.live = live
        self.last_item_at: float | None = None
        self._fanout = Fanout(live.slots, send_many, limits, clock, stats)
        self._limits = limits
        self._clock = clock

    def deliver(self, batch: Sequence[Outgoing]) -> None:
        """Write a batch of items to every connection with a matching slot, and advance the live position.

        Then sessions with too many buffered bytes or a full ack window fall behind, and checkpoints that are due are
        sent. After an error, the sessions that miss items read them from the log, and those of which it is unknown what
        they were sent are disconnected: they resume from where their clients are.
        """
        result = self._fanout.send(batch)
        for session in result.unknown:
            self.live.abandon(session)
        for session, after in result.unsent.items():
            self._read_again(session, after)
        self.advance_to(batch[-1].record.seq)
        for session in result.full:
            self.change(session, self.live.fall_behind)
        self.checkpoint(dict.fromkeys(result.due))

    def skip_to(self, seq: int) -> None:
        """Advance the live position past items that could not be broadcast. Every live session reads these items from
        the log instead.
        """
        for session in self.live.slots.live_sessions():
            self._read_again(session, self.live.position)
        self.advance_to(seq)

    def advance_to(self, seq: int) -> None:
        """Record that every item up to `seq` was broadcast, and when."""
        self.live.position = seq
        self.last_item_at = self._clock.monotonic()

    def checkpoint(self, sessions: Iterable[Session]) -> None:
        """Send each session a checkpoint, which tells its client up to which seq it has every matching item.

        The checkpoint contains the number of items sent since the previous one. The session then counts from 0 again.
        """
        now = self._clock.monotonic()
        age_ms = None if self.last_item_at is None else int((now - self.last_item_at) * 1000)
        for session in sessions:
            self.change(session, partial(self._checkpoint, age_ms=age_ms))

    def checkpoint_if_due(self, session: Session) -> None:
        """Send a checkpoint to a session that reads the log, if enough items were sent or read since the last one.

        Enough means `checkpoint_interval_items` sent or `_CHECKPOINT_READ_ITEMS` read.
        """
        is_due = session.delivered >= self._limits.checkpoint_interval_items
        if is_due or session.cursor - session.checkpoint_seq >= _CHECKPOINT_READ_ITEMS:
            self.checkpoint([session])

    def change(self, session: Session, change: Callable[[Session], None]) -> None:
        """Change the state of one session. If that fails, the error is logged and only this session is disconnected."""
        try:
            change(session)
        except Exception:  # noqa: BLE001 - the other sessions must not be affected
            _log.exception("delivery_failed", connection_id=session.id)
            self.live.abandon(session)

    def _checkpoint(self, session: Session, age_ms: int | None) -> None:
        seq = self.live.decided_seq(session)
        self.live.slots.flush_counts(session)
        message = server_messages.checkpoint_message(self._clock.wall(), seq, session.delivered, age_ms)
        session.checkpointed(seq, session.delivered)
        session.add_delivered(-session.delivered)
        self.live.send(session, message)

    def _read_again(self, session: Session, after: int) -> None:
        """Make a live session read the log from just after the seq `after`, because an error kept it from being sent
        these items. Does nothing if it is being disconnected.
        """
        if session.disconnect_reason is None:
            self.change(session, lambda lost: self.live.rewind(lost, lost.channels, after))
