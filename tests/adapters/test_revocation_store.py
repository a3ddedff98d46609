"""One suite for every RevocationStore."""

from app.ports.stores import RevocationStore


async def test_latest_revocation_of_a_user_counts(revoked: RevocationStore) -> None:
    assert await revoked.load() == {}

    await revoked.save("u", 100.0, 0.0)
    await revoked.save("v", 150.0, 0.0)
    await revoked.save("u", 200.5, 0.0)

    assert await revoked.load() == {"u": 200.5, "v": 150.0}


async def test_outdated_revocations_are_removed(revoked: RevocationStore) -> None:
    await revoked.save("old", 100.0, 0.0)
    await revoked.save("edge", 500.0, 0.0)
    await revoked.save("u", 900.0, forget_before=500.0)

    assert await revoked.load() == {"edge": 500.0, "u": 900.0}
