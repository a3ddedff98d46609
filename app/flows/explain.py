"""Why did I not get this item? This file owns the answer: what the filter says, and where each connection stands."""

from enum import StrEnum
from typing import NamedTuple

from app.core import explaining
from app.core.errors import Code, Theirs
from app.core.explaining import UNREADABLE, Verdict
from app.core.matching import Outcome
from app.core.subscription import Filter
from app.flows.connections import ConnectionManager
from app.flows.session import Session
from app.flows.subscriptions import Subscriptions
from app.ports import NewsLog, Record


class State(StrEnum):
    """What became of an item on one connection."""

    BEFORE_CONNECT = "before_connect"
    PENDING = "pending"
    WRITTEN = "written"
    REJECTED = "rejected"
    FILTER_CHANGED = "filter_changed"


class Standing(NamedTuple):
    """One connection's state, and what the filter that it has now says.

    With FILTER_CHANGED the item went out under another filter, which is not known any more.
    """

    connection_id: str
    state: State
    outcome: Outcome
    has_own_filter: bool


class Explanation(NamedTuple):
    """What a filter says to an item, and where the connections stand that it may have gone to."""

    record: Record
    verdict: Verdict
    standings: tuple[Standing, ...]


class Explain:
    """Explains one item to one user, or to one connection."""

    def __init__(self, log: NewsLog, subscriptions: Subscriptions, connections: ConnectionManager) -> None:
        self._news_log = log
        self._subscriptions = subscriptions
        self._connections = connections

    async def to_user(self, item_id: str, user_id: str) -> Explanation:
        """Explain by the user's stored filter, for all of their connections. Raises Theirs(UNKNOWN_ITEM)."""
        record = await self._find(item_id)
        wants = await self._subscriptions.readable_filter_of(user_id)
        sessions = self._connections.sessions_of(user_id)
        standings = tuple(self._standing(session, record) for session in sessions)
        return Explanation(record, _verdict(record, wants), standings)

    async def to_session(self, item_id: str, session: Session) -> Explanation:
        """Explain by the filter that a connection has now. Raises Theirs(UNKNOWN_ITEM)."""
        record = await self._find(item_id)
        return Explanation(record, _verdict(record, session.wants), (self._standing(session, record),))

    async def _find(self, item_id: str) -> Record:
        record = await self._news_log.by_id(item_id)
        if record is None:
            raise Theirs(Code.UNKNOWN_ITEM, "No stored item has this id")
        return record

    def _standing(self, session: Session, record: Record) -> Standing:
        outcome = _verdict(record, session.wants).outcome
        return Standing(session.id, self._state(session, record.seq, outcome), outcome, session.has_own_filter)

    def _state(self, session: Session, seq: int, outcome: Outcome) -> State:
        if seq <= session.opened_seq:
            return State.BEFORE_CONNECT
        if seq > self._connections.position:
            return State.PENDING
        if seq <= session.wants_seq:
            return State.FILTER_CHANGED
        return State.WRITTEN if outcome is Outcome.MATCHED else State.REJECTED


def _verdict(record: Record, wants: Filter | None) -> Verdict:
    return UNREADABLE if wants is None else explaining.explain(record.item, wants)


def as_document(explanation: Explanation) -> dict[str, object]:
    """Give an explanation in wire words."""
    record, verdict, standings = explanation
    return {
        "item": record.item.id,
        "seq": record.seq,
        "verdict": verdict.outcome,
        "steps": [{"step": step, "met": is_met, "want": want, "got": got} for step, is_met, want, got in verdict.steps],
        "connections": [
            {
                "connection_id": connection_id,
                "state": state,
                "verdict": outcome,
                "filter": "own" if has_own_filter else "stored",
            }
            for connection_id, state, outcome, has_own_filter in standings
        ],
    }
