"""The table of phases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.delivery.phases import NEXT_PHASE, Phase, PhaseEvent, should_disconnect
from app.core.limits import Limits

LIMITS = Limits().with_values({"delivery.max_lag_items": 100, "delivery.stall_timeout_s": 30.0})


@given(st.lists(st.sampled_from(PhaseEvent)))
def test_ended_connection_stays_closed(events: list[PhaseEvent]) -> None:
    phase = Phase.REPLAYING
    for event in events:
        is_over = phase is Phase.CLOSED
        if (phase, event) not in NEXT_PHASE:
            assert (event is PhaseEvent.CAUGHT_UP and phase is Phase.LIVE) or is_over
            continue
        phase = NEXT_PHASE[phase, event]
        assert not is_over or phase is Phase.CLOSED
        assert event is not PhaseEvent.ENDED or phase is Phase.CLOSED


def test_every_phase_is_reachable_and_can_end() -> None:
    assert set(NEXT_PHASE.values()) == set(Phase)
    assert {phase for phase, event in NEXT_PHASE if event is PhaseEvent.ENDED} == set(Phase)
    assert {phase for (phase, event), after in NEXT_PHASE.items() if after is Phase.LIVE} == {
        Phase.REPLAYING,
        Phase.LAGGING,
    }


@pytest.mark.parametrize(
    ("phase", "behind_items", "stalled_s", "expected"),
    [
        (Phase.LAGGING, 100, 30.0, False),
        (Phase.LAGGING, 101, 0.0, True),
        (Phase.LAGGING, 0, 30.1, True),
        (Phase.REPLAYING, 1_000_000, 0.0, False),
        (Phase.REPLAYING, 0, 30.1, True),
    ],
)
def test_stalled_or_lagging_client_is_disconnected(
    phase: Phase, behind_items: int, stalled_s: float, expected: bool
) -> None:
    assert should_disconnect(phase, behind_items, stalled_s, LIMITS.delivery) is expected
