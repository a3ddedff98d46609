"""Define the phases of a connection, the transitions between them, and when a slow client is disconnected.

    REPLAYING ──caught up──▶ LIVE ──fell behind──▶ LAGGING ──caught up──▶ LIVE
        ▲                     │                       │
        └───────rewind────────┴────────rewind─────────┘        every phase ──ended──▶ CLOSED

A LIVE connection is sent items as they are broadcast. A REPLAYING or LAGGING connection is sent items from the log, as
fast as its client takes them. Items from the log are matched against the filters of this connection only.

Every connection begins as REPLAYING. It returns to that phase when items have to be sent again, its client asks for the
past of a channel, or a new token delays its items. A connection becomes LAGGING when its client reads or acknowledges
too slowly.
"""

from enum import StrEnum

from app.core.limits import DeliveryLimits


class Phase(StrEnum):
    """Whether a connection is sent items as they are broadcast (LIVE), from the log (REPLAYING, LAGGING), or not at all
    (CLOSED). The values are also metric labels.
    """

    REPLAYING = "replaying"
    LIVE = "live"
    LAGGING = "lagging"
    CLOSED = "closed"


class PhaseEvent(StrEnum):
    """An event that can change the phase of a connection.

    CAUGHT_UP: every broadcast item has been read from the log. FELL_BEHIND: the client reads or acknowledges too
    slowly. REWIND: the log has to be read again from an earlier seq. ENDED: the connection is closed.
    """

    CAUGHT_UP = "caught_up"
    FELL_BEHIND = "fell_behind"
    REWIND = "rewind"
    ENDED = "ended"


NEXT_PHASE: dict[tuple[Phase, PhaseEvent], Phase] = {
    (Phase.REPLAYING, PhaseEvent.CAUGHT_UP): Phase.LIVE,
    (Phase.REPLAYING, PhaseEvent.FELL_BEHIND): Phase.REPLAYING,
    (Phase.REPLAYING, PhaseEvent.REWIND): Phase.REPLAYING,
    (Phase.REPLAYING, PhaseEvent.ENDED): Phase.CLOSED,
    (Phase.LIVE, PhaseEvent.FELL_BEHIND): Phase.LAGGING,
    (Phase.LIVE, PhaseEvent.REWIND): Phase.REPLAYING,
    (Phase.LIVE, PhaseEvent.ENDED): Phase.CLOSED,
    (Phase.LAGGING, PhaseEvent.CAUGHT_UP): Phase.LIVE,
    (Phase.LAGGING, PhaseEvent.FELL_BEHIND): Phase.LAGGING,
    (Phase.LAGGING, PhaseEvent.REWIND): Phase.REPLAYING,
    (Phase.LAGGING, PhaseEvent.ENDED): Phase.CLOSED,
    (Phase.CLOSED, PhaseEvent.ENDED): Phase.CLOSED,
}
"""The next phase for every pair of a phase and an event that can occur together. Looking up any other pair is a bug and
raises KeyError: for example, a LIVE connection has caught up already, and CLOSED is final.
"""


def should_disconnect(phase: Phase, behind_items: int, stalled_s: float, limits: DeliveryLimits) -> bool:
    """Return whether to disconnect a slow client: one that took no byte for more than `stall_timeout_s`, or that is
    LAGGING by more than `max_lag_items`.

    A REPLAYING client may be any number of items behind, because it asked for old items; retention limits how old they
    can be.
    """
    return stalled_s > limits.stall_timeout_s or (phase is Phase.LAGGING and behind_items > limits.max_lag_items)
