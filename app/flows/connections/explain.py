"""Explain why a user did or did not get an item: the verdict of the user's filter, and what happened to the item on the
user's connections.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.errors import ClientError, ErrorCode
from app.core.filters.explain import UNREADABLE_FILTER, FilterVerdict, explain_filter
from app.core.filters.filter import Filter
from app.core.filters.matching import Outcome
from app.core.protocol.explanations import DeliveryStatus, ExplainedStep, Explanation
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.channel import Channel
from app.flows.delivery.live import LiveSet
from app.flows.delivery.session import Session
from app.flows.time_slices import TimeSlices
from app.flows.visibility import is_shown
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record


class DeliveryState(StrEnum):
    """What happened to an item on one channel of one connection.

    BEFORE_CONNECT: the item is before the place in the log where the connection started. IN_GAP: the item was announced
    as missing when the connection started. PENDING: the connection has not evaluated the item yet. WRITTEN: the item
    was sent. ACKED: the item was sent and acknowledged. REJECTED: the channel's filter did not match the item.
    FILTER_CHANGED: an earlier filter of the channel evaluated the item.
    """

    BEFORE_CONNECT = "before_connect"
    IN_GAP = "in_gap"
    PENDING = "pending"
    WRITTEN = "written"
    ACKED = "acked"
    REJECTED = "rejected"
    FILTER_CHANGED = "filter_changed"


class ChannelStatus(NamedTuple):
    """What happened to an item on one channel, and the verdict of the filter that the channel has now (`outcome`).

    If `state` is FILTER_CHANGED, the item was evaluated by an earlier filter. Earlier filters are not kept, so
    `outcome` may differ from the verdict at that time.
    """

    connection_id: str
    channel: str
    state: DeliveryState
    outcome: Outcome
    tracks_stored: bool


class ItemExplanation(NamedTuple):
    """The explanation of an item: its record, the verdict of one filter, and the item's status on each channel of one
    connection or of all of a user's open connections.
    """

    record: Record
    verdict: FilterVerdict
    statuses: tuple[ChannelStatus, ...]


class Explainer:
    """Explains one item, by a user's stored filter or by the filters of one connection."""

    def __init__(
        self,
        log: NewsLog,
        subscriptions: SubscriptionService,
        manager: ConnectionManager,
        live: LiveSet,
        slices: TimeSlices,
        clock: Clock,
    ) -> None:
        self._news_log = log
        self._slices = slices
        self._subscriptions = subscriptions
        self._manager = manager
        self._live = live
        self._clock = clock

    async def explain_to_user(
        self, item_id: str, user_id: str, entitled: Entitlement = UNRESTRICTED
    ) -> ItemExplanation:
        """Explain an item by a user's stored filter for channel `default`. The explanation has the item's status on all
        of the user's open connections. `entitled` is the entitlement of the caller, who may be an operator instead of
        the user.

        Raises ClientError(UNKNOWN_ITEM) if there is no such item, or if `entitled` hides it or still delays it.
        """
        record = await self._find(item_id, entitled)
        stored = await self._subscriptions.readable_filter_of(user_id)
        statuses = await self._statuses(record, self._manager.sessions_of(user_id))
        return ItemExplanation(record, _verdict(record, stored, entitled), statuses)

    async def explain_to_session(self, item_id: str, session: Session) -> ItemExplanation:
        """Explain an item by the filters that a connection has now. Raises ClientError(UNKNOWN_ITEM).

        The verdict is that of the first channel whose filter matches the item. If none matches, the verdict is that of
        the connection's first channel. If the connection has no channels, the verdict's outcome is ERROR.
        """
        entitled = session.token.entitled
        record = await self._find(item_id, entitled)
        statuses = await self._statuses(record, [session])
        matching = (status.channel for status in statuses if status.outcome is Outcome.MATCHED)
        shown = next(matching, statuses[0].channel if statuses else "")
        channel = session.channels.find(shown)
        verdict = UNREADABLE_FILTER if channel is None else _verdict(record, channel.filter, entitled)
        return ItemExplanation(record, verdict, statuses)

    async def _find(self, item_id: str, entitled: Entitlement) -> Record:
        """Return the record of an item. Raises ClientError(UNKNOWN_ITEM) if the item is not stored, or if `entitled`
        hides it from the caller, or still delays it. It is the same error, so that it does not reveal that the item
        exists.
        """
        record = await self._news_log.by_id(item_id)
        if record is None or not is_shown(record, entitled, self._clock.wall()):
            raise ClientError(ErrorCode.UNKNOWN_ITEM, "No stored item has this id")
        return record

    async def _statuses(self, record: Record, sessions: Iterable[Session]) -> tuple[ChannelStatus, ...]:
        """Return the item's status on every channel of some sessions. They may have 32 channels each, with large
        filters, so this takes time slices.
        """
        statuses = []
        channels = [(session, channel) for session in sessions for channel in session.channels]
        async with self._slices.share() as time_slice:
            for session, channel in channels:
                outcome = _verdict(record, channel.filter, session.token.entitled).outcome
                state = self._state(session, channel, record.seq, outcome)
                statuses.append(ChannelStatus(session.id, channel.name, state, outcome, channel.tracks_stored))
                await time_slice.renew_if_over()
        return tuple(statuses)

    def _state(self, session: Session, channel: Channel, seq: int, outcome: Outcome) -> DeliveryState:
        gap = session.start.gap if session.start is not None else None
        if gap is not None and gap.from_seq <= seq <= gap.to_seq:
            return DeliveryState.IN_GAP
        if seq <= session.opened_seq:
            return DeliveryState.BEFORE_CONNECT
        if seq > self._live.decided_seq(session):
            return DeliveryState.PENDING
        if seq <= channel.filter_seq:
            return DeliveryState.FILTER_CHANGED
        if outcome is not Outcome.MATCHED:
            return DeliveryState.REJECTED
        is_acked = session.window is not None and seq <= session.window.acked
        return DeliveryState.ACKED if is_acked else DeliveryState.WRITTEN


def _verdict(record: Record, filter_or_none: Filter | None, entitled: Entitlement) -> FilterVerdict:
    if filter_or_none is None:
        return UNREADABLE_FILTER
    return explain_filter(record.item, filter_or_none, entitled)


def explanation_message(explanation: ItemExplanation, request_id: str | int | None = None) -> Explanation:
    """Return the server message for an explanation; `request_id` is the id of the client's message, if it has one."""
    record, verdict, statuses = explanation
    return Explanation(
        item=record.item.id,
        seq=record.seq,
        verdict=verdict.outcome,
        steps=tuple(ExplainedStep(*step) for step in verdict.steps),
        connections=tuple(
            DeliveryStatus(connection_id, channel, state, outcome, "stored" if tracks_stored else "own")
            for connection_id, channel, state, outcome, tracks_stored in statuses
        ),
        id=request_id,
    )
