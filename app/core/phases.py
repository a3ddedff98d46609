"""How a connection stands to the log. This file owns the table of phases and what makes a slow client hopeless.

    REPLAYING ──level──▶ LIVE ──full──▶ LAGGING ──level──▶ LIVE
        ▲                 │                │
        └────rewind───────┴────rewind──────┘            every phase ──end──▶ CLOSED

LIVE gets items as they are broadcast. The other two read the log at the client's own pace, through its own filters:
REPLAYING because it asked for what it missed or did not acknowledge, LAGGING because it took too little.
"""

from enum import StrEnum

from app.core.limits import Limits


class Phase(StrEnum):
    """Where a connection gets its items from. Also a metric's label."""

    REPLAYING = "replaying"
    LIVE = "live"
    LAGGING = "lagging"
    CLOSED = "closed"


class Event(StrEnum):
    """What moves a connection from one phase to another."""

    LEVEL = "level"
    FULL = "full"
    REWIND = "rewind"
    END = "end"


NEXT: dict[tuple[Phase, Event], Phase] = {
    (Phase.REPLAYING, Event.LEVEL): Phase.LIVE,
    (Phase.REPLAYING, Event.FULL): Phase.REPLAYING,
    (Phase.REPLAYING, Event.REWIND): Phase.REPLAYING,
    (Phase.REPLAYING, Event.END): Phase.CLOSED,
    (Phase.LIVE, Event.FULL): Phase.LAGGING,
    (Phase.LIVE, Event.REWIND): Phase.REPLAYING,
    (Phase.LIVE, Event.END): Phase.CLOSED,
    (Phase.LAGGING, Event.LEVEL): Phase.LIVE,
    (Phase.LAGGING, Event.FULL): Phase.LAGGING,
    (Phase.LAGGING, Event.REWIND): Phase.REPLAYING,
    (Phase.LAGGING, Event.END): Phase.CLOSED,
    (Phase.CLOSED, Event.END): Phase.CLOSED,
}
"""Every move there is. LIVE is level already, and nothing moves what is closed: a pair that is missing is a bug."""


def is_hopeless(phase: Phase, behind_items: int, stuck_s: float, limits: Limits) -> bool:
    """Say whether to give a slow client up: it took no byte for too long, or lags further than it may.

    How far a replay goes back is for retention to bound: the client asked for it.
    """
    return stuck_s > limits.stuck_s or (phase is Phase.LAGGING and behind_items > limits.lag_items)
