"""What becomes of connections whose tokens are revoked, also of those that are not open yet."""

from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.core.access.identity import LEEWAY_S, MAX_TOKEN_LIFETIME_S
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.revocations import Revocations
from app.flows.delivery.session import Session
from tests.support.hall import Hall
from tests.support.link import RecordingLink


def ending_of(session: Session) -> DisconnectReason | None:
    return session.ending


async def test_who_shakes_hands_while_its_token_is_revoked_ends_as_it_opens() -> None:
    hall = Hall(Limits())
    revocations = Revocations(MemoryRevocationStore(), hall.clock)
    open_one, link = await hall.arrive("eve")
    other, _ = await hall.arrive("bob")
    half_way = hall.connections.admit("eve")

    assert await revocations.revoke("eve", hall.connections) == 2
    late = RecordingLink()
    hall.clients.converse.on_open(half_way, late)

    assert (link.endings, late.endings) == ([DisconnectReason.KICKED], [DisconnectReason.KICKED])
    assert (ending_of(open_one), ending_of(half_way), ending_of(other)) == (
        DisconnectReason.KICKED,
        DisconnectReason.KICKED,
        None,
    )


async def test_what_no_token_can_outlive_is_forgotten_and_the_rest_known_again() -> None:
    hall, store = Hall(Limits()), MemoryRevocationStore()
    revocations = Revocations(store, hall.clock)
    now = hall.clock.wall()
    await revocations.revoke("eve", hall.connections)
    hall.clock.move(MAX_TOKEN_LIFETIME_S + LEEWAY_S + 1)
    await revocations.revoke("bob", hall.connections)
    again = Revocations(store, hall.clock)
    await again.load()

    for each in (revocations, again):
        assert not each.is_revoked("eve", now - 1)
        assert each.is_revoked("bob", hall.clock.wall())
        assert each.is_revoked("bob", None)
        assert not each.is_revoked("bob", hall.clock.wall() + 1)
