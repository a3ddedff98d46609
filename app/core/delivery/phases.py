"""The phases of a connection, the transitions between them, and when a slow client is disconnected.

    REPLAYING ──caught up──▶ LIVE ──fell behind──▶ LAGGING ──caught up──▶ LIVE
        ▲                     │                       │
        └───────rewind────────┴────────rewind─────────┘        every phase ──ended──▶ CLOSED

A LIVE connection gets items as they are broadcast. In the other two phases its items are read from the log, at the
client's own pace and through its own filters: REPLAYING because the client asked for what it missed or did not
acknowledge, LAGGING because it read too slowly.
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
"""Every transition. A LIVE connection is caught up already, and CLOSED is final: a missing pair is a bug."""


def should_disconnect(phase: Phase, behind_items: int, stalled_s: float, limits: DeliveryLimits) -> bool:
    """Return whether to disconnect a slow client: it took no byte for too long, or lags by more items than allowed.

    Retention bounds how far a replay goes back: the client asked for it.
    """
    return stalled_s > limits.stall_timeout_s or (phase is Phase.LAGGING and behind_items > limits.max_lag_items)
