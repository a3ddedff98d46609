"""Implement the port RevocationStore in memory."""


class MemoryRevocationStore:
    """Revocation times in a dictionary by user. All tokens that were issued to a user up to the user's time (Unix
    seconds) are revoked.
    """

    def __init__(self) -> None:
        self._stored: dict[str, float] = {}

    async def load(self) -> dict[str, float]:
        return dict(self._stored)

    async def save(self, user_id: str, issued_before: float, forget_before: float) -> None:
        self._stored = {user: before for user, before in self._stored.items() if before >= forget_before}
        self._stored[user_id] = issued_before
