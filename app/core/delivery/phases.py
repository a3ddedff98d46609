"""How a connection stands to the log. This file owns the table of phases and what makes a slow client hopeless.

    REPLAYING ──level──▶ LIVE ──full──▶ LAGGING ──level──▶ LIVE
        ▲                 │                │
        └────rewind───────┴────rewind──────┘            every phase ──end──▶ CLOSED

LIVE gets items as they are broadcast. The other two read the log at the client's own pace, through its own filters:
REPLAYING because it asked for what it missed or did not acknowledge, LAGGING because it took too little.
"""

from enum import StrEnum

from app.core.limits import DeliveryLimits


class Phase(StrEnum):
    """Where a connection gets its items from. Also a metric's label."""

    REPLAYING = "replaying"
    LIVE = "live"
    LAGGING = "lagging"
    CLOSED = "closed"


class PhaseEvent(StrEnum):
    """What moves a connection from one phase to another."""

    CAUGHT_UP = "level"
    FELL_BEHIND = "full"
    REWIND = "rewind"
    ENDED = "end"


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
"""Every move there is. LIVE is level already, and nothing moves what is closed: a pair that is missing is a bug."""


def should_disconnect(phase: Phase, behind_items: int, stalled_s: float, limits: DeliveryLimits) -> bool:
    """Say whether to give a slow client up: it took no byte for too long, or lags further than it may.

    How far a replay goes back is for retention to bound: the client asked for it.
    """
    return stalled_s > limits.stall_timeout_s or (phase is Phase.LAGGING and behind_items > limits.max_lag_items)
