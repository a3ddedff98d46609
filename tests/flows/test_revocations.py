"""Connections whose tokens are revoked, also those that are not open yet."""

from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.core.access.identity import LEEWAY_S, MAX_TOKEN_LIFETIME_S
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.revocations import Revocations
from app.flows.delivery.session import Session
from tests.support.harness import Harness
from tests.support.link import RecordingLink


def ending_of(session: Session) -> DisconnectReason | None:
    return session.disconnect_reason


async def test_revocation_during_handshake_ends_the_connection() -> None:
    harness = Harness(Limits())
    revocations = Revocations(MemoryRevocationStore(), harness.clock)
    open_one, link = await harness.arrive("eve")
    other, _ = await harness.arrive("bob")
    half_way = harness.admission.admit("eve")

    assert await revocations.revoke("eve", harness.manager) == 2
    late = RecordingLink()
    harness.clients.dispatcher.on_open(half_way, late)

    assert (link.endings, late.endings) == ([DisconnectReason.KICKED], [DisconnectReason.KICKED])
    assert (ending_of(open_one), ending_of(half_way), ending_of(other)) == (
        DisconnectReason.KICKED,
        DisconnectReason.KICKED,
        None,
    )


async def test_revocations_survive_restart_until_outdated() -> None:
    harness, store = Harness(Limits()), MemoryRevocationStore()
    revocations = Revocations(store, harness.clock)
    now = harness.clock.wall()
    await revocations.revoke("eve", harness.manager)
    harness.clock.move(MAX_TOKEN_LIFETIME_S + LEEWAY_S + 1)
    await revocations.revoke("bob", harness.manager)
    again = Revocations(store, harness.clock)
    await again.load()

    for each in (revocations, again):
        assert not each.is_revoked("eve", now - 1)
        assert each.is_revoked("bob", harness.clock.wall())
        assert each.is_revoked("bob", None)
        assert not each.is_revoked("bob", harness.clock.wall() + 1)
