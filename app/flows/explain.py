"""Why did I not get this item? This file owns the answer: what the filter says, and where each connection stands."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from app.core import explaining, outbound
from app.core.entitlement import ALL, Entitlement
from app.core.errors import Code, Theirs
from app.core.explaining import UNREADABLE, Verdict
from app.core.matching import Outcome
from app.core.subscription import Filter
from app.flows.connections import ConnectionManager
from app.flows.session import Channel, Session
from app.flows.subscriptions import Subscriptions
from app.ports import Clock, NewsLog, Record


class State(StrEnum):
    """What became of an item on one channel of one connection."""

    BEFORE_CONNECT = "before_connect"
    IN_GAP = "in_gap"
    PENDING = "pending"
    WRITTEN = "written"
    ACKED = "acked"
    REJECTED = "rejected"
    FILTER_CHANGED = "filter_changed"


class Standing(NamedTuple):
    """One channel's state, and what the filter that it has now says.

    With FILTER_CHANGED the item went out under another filter, which is not known any more.
    """

    connection_id: str
    channel: str
    state: State
    outcome: Outcome
    follows: bool


class Explanation(NamedTuple):
    """What a filter says to an item, and where the connections stand that it may have gone to."""

    record: Record
    verdict: Verdict
    standings: tuple[Standing, ...]


class Explain:
    """Explains one item to one user, or to one connection."""

    def __init__(
        self, log: NewsLog, subscriptions: Subscriptions, connections: ConnectionManager, clock: Clock
    ) -> None:
        self._news_log = log
        self._clock = clock
        self._subscriptions = subscriptions
        self._connections = connections

    async def to_user(self, item_id: str, user_id: str, entitled: Entitlement = ALL) -> Explanation:
        """Explain by the user's stored filter, for all of their connections, to a caller who may see so much.

        Raises Theirs(UNKNOWN_ITEM).
        """
        record = await self._find(item_id, entitled)
        wants = await self._subscriptions.readable_filter_of(user_id)
        standings = (self._standings(session, record) for session in self._connections.sessions_of(user_id))
        return Explanation(record, _verdict(record, wants, entitled), tuple(chain.from_iterable(standings)))

    async def to_session(self, item_id: str, session: Session) -> Explanation:
        """Explain by the filters that a connection has now. Raises Theirs(UNKNOWN_ITEM).

        The verdict is that of the first channel that wants the item, or else of the first.
        """
        record = await self._find(item_id, session.entitled)
        verdicts = [_verdict(record, channel.wants, session.entitled) for channel in session.channels]
        wanting = (verdict for verdict in verdicts if verdict.outcome is Outcome.MATCHED)
        verdict = next(wanting, verdicts[0] if verdicts else UNREADABLE)
        return Explanation(record, verdict, tuple(self._standings(session, record)))

    async def _find(self, item_id: str, entitled: Entitlement) -> Record:
        """Find an item that is due to whoever asks: what is not may not be known to exist."""
        record = await self._news_log.by_id(item_id)
        if record is None or not entitled.is_due(record.accepted_at, self._clock.wall()):
            raise Theirs(Code.UNKNOWN_ITEM, "No stored item has this id")
        return record

    def _standings(self, session: Session, record: Record) -> Iterator[Standing]:
        for channel in session.channels:
            outcome = _verdict(record, channel.wants, session.entitled).outcome
            state = self._state(session, channel, record.seq, outcome)
            yield Standing(session.id, channel.name, state, outcome, channel.follows)

    def _state(self, session: Session, channel: Channel, seq: int, outcome: Outcome) -> State:
        gap = session.start.gap if session.start is not None else None
        if gap is not None and gap.from_seq <= seq <= gap.to_seq:
            return State.IN_GAP
        if seq <= session.opened_seq:
            return State.BEFORE_CONNECT
        if seq > self._connections.reached(session):
            return State.PENDING
        if seq <= channel.wants_seq:
            return State.FILTER_CHANGED
        if outcome is not Outcome.MATCHED:
            return State.REJECTED
        is_acked = session.window is not None and seq <= session.window.acked
        return State.ACKED if is_acked else State.WRITTEN


def _verdict(record: Record, wants: Filter | None, entitled: Entitlement) -> Verdict:
    return UNREADABLE if wants is None else explaining.explain(record.item, wants, entitled)


def explanation_message(explanation: Explanation, request_id: str | int | None = None) -> outbound.Explanation:
    """Give an explanation in wire words."""
    record, verdict, standings = explanation
    return outbound.Explanation(
        item=record.item.id,
        seq=record.seq,
        verdict=verdict.outcome,
        steps=tuple(outbound.ExplainedStep(*step) for step in verdict.steps),
        connections=tuple(
            outbound.Standing(connection_id, channel, state, outcome, "stored" if follows else "own")
            for connection_id, channel, state, outcome, follows in standings
        ),
        id=request_id,
    )
