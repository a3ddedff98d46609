"""Why did I not get this item? This file owns the answer: what the filter says, and where each connection stands."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.errors import ClientError, ErrorCode
from app.core.filters import explain
from app.core.filters.explain import UNREADABLE_FILTER, FilterVerdict
from app.core.filters.filter import Filter
from app.core.filters.matching import Outcome
from app.core.protocol import server_messages
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.session import Channel, Session
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record


class DeliveryState(StrEnum):
    """What became of an item on one channel of one connection."""

    BEFORE_CONNECT = "before_connect"
    IN_GAP = "in_gap"
    PENDING = "pending"
    WRITTEN = "written"
    ACKED = "acked"
    REJECTED = "rejected"
    FILTER_CHANGED = "filter_changed"


class ChannelStatus(NamedTuple):
    """One channel's state, and what the filter that it has now says.

    With FILTER_CHANGED the item went out under another filter, which is not known any more.
    """

    connection_id: str
    channel: str
    state: DeliveryState
    outcome: Outcome
    follows: bool


class ItemExplanation(NamedTuple):
    """What a filter says to an item, and where the connections stand that it may have gone to."""

    record: Record
    verdict: FilterVerdict
    standings: tuple[ChannelStatus, ...]


class Explainer:
    """Explains one item to one user, or to one connection."""

    def __init__(
        self, log: NewsLog, subscriptions: SubscriptionService, connections: ConnectionManager, clock: Clock
    ) -> None:
        self._news_log = log
        self._clock = clock
        self._subscriptions = subscriptions
        self._connections = connections

    async def to_user(self, item_id: str, user_id: str, entitled: Entitlement = UNRESTRICTED) -> ItemExplanation:
        """Explain by the user's stored filter, for all of their connections, to a caller who may see so much.

        Raises Theirs(UNKNOWN_ITEM).
        """
        record = await self._find(item_id, entitled)
        wants = await self._subscriptions.readable_filter_of(user_id)
        standings = (self._standings(session, record) for session in self._connections.sessions_of(user_id))
        return ItemExplanation(record, _verdict(record, wants, entitled), tuple(chain.from_iterable(standings)))

    async def to_session(self, item_id: str, session: Session) -> ItemExplanation:
        """Explain by the filters that a connection has now. Raises Theirs(UNKNOWN_ITEM).

        The verdict is that of the first channel that wants the item, or else of the first.
        """
        record = await self._find(item_id, session.entitled)
        verdicts = [_verdict(record, channel.filter, session.entitled) for channel in session.channels]
        wanting = (verdict for verdict in verdicts if verdict.outcome is Outcome.MATCHED)
        verdict = next(wanting, verdicts[0] if verdicts else UNREADABLE_FILTER)
        return ItemExplanation(record, verdict, tuple(self._standings(session, record)))

    async def _find(self, item_id: str, entitled: Entitlement) -> Record:
        """Find an item that is due to whoever asks: what is not may not be known to exist."""
        record = await self._news_log.by_id(item_id)
        if record is None or not entitled.is_due(record.accepted_at, self._clock.wall()):
            raise ClientError(ErrorCode.UNKNOWN_ITEM, "No stored item has this id")
        return record

    def _standings(self, session: Session, record: Record) -> Iterator[ChannelStatus]:
        for channel in session.channels:
            outcome = _verdict(record, channel.filter, session.entitled).outcome
            state = self._state(session, channel, record.seq, outcome)
            yield ChannelStatus(session.id, channel.name, state, outcome, channel.tracks_stored)

    def _state(self, session: Session, channel: Channel, seq: int, outcome: Outcome) -> DeliveryState:
        gap = session.start.gap if session.start is not None else None
        if gap is not None and gap.from_seq <= seq <= gap.to_seq:
            return DeliveryState.IN_GAP
        if seq <= session.opened_seq:
            return DeliveryState.BEFORE_CONNECT
        if seq > self._connections.decided_seq(session):
            return DeliveryState.PENDING
        if seq <= channel.filter_seq:
            return DeliveryState.FILTER_CHANGED
        if outcome is not Outcome.MATCHED:
            return DeliveryState.REJECTED
        is_acked = session.window is not None and seq <= session.window.acked
        return DeliveryState.ACKED if is_acked else DeliveryState.WRITTEN


def _verdict(record: Record, wants: Filter | None, entitled: Entitlement) -> FilterVerdict:
    return UNREADABLE_FILTER if wants is None else explain.explain_filter(record.item, wants, entitled)


def explanation_message(
    explanation: ItemExplanation, request_id: str | int | None = None
) -> server_messages.Explanation:
    """Give an explanation in wire words."""
    record, verdict, standings = explanation
    return server_messages.Explanation(
        item=record.item.id,
        seq=record.seq,
        verdict=verdict.outcome,
        steps=tuple(server_messages.ExplainedStep(*step) for step in verdict.steps),
        connections=tuple(
            server_messages.DeliveryStatus(connection_id, channel, state, outcome, "stored" if follows else "own")
            for connection_id, channel, state, outcome, follows in standings
        ),
        id=request_id,
    )
