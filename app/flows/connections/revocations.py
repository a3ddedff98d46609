"""Revoked tokens: which tokens are refused although they have not expired, and the order of a revocation.

A signer need not name its tokens, so what is revoked is every token that was issued for a user until now. The
revocation is stored first, then in force, then the user's connections are closed. It is forgotten once no token can
outlive it.
"""

import structlog

from app.core.access.identity import LEEWAY_S, MAX_TOKEN_LIFETIME_S
from app.flows.connections.manager import ConnectionManager
from app.ports.clock import Clock
from app.ports.stores import RevocationStore

_log = structlog.get_logger("revocations")


class Revocations:
    """For each user, the time up to which issued tokens are refused (Unix seconds)."""

    def __init__(self, store: RevocationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._issued_before: dict[str, float] = {}

    async def load(self) -> None:
        """Load what was revoked before a restart."""
        self._issued_before = await self._store.load()

    def is_revoked(self, user_id: str, issued_at: float | None) -> bool:
        """Return whether a token is refused. A token without a time of issue may be an old one."""
        before = self._issued_before.get(user_id)
        return before is not None and (issued_at is None or issued_at <= before)

    async def revoke(self, user_id: str, manager: ConnectionManager) -> int:
        """Refuse every token issued for a user until now. Return how many connections were
        closed. Raises ServerError.
        """
        now = self._clock.wall()
        forget_before = now - MAX_TOKEN_LIFETIME_S - LEEWAY_S
        await self._store.save(user_id, now, forget_before)
        kept = {user: before for user, before in self._issued_before.items() if before >= forget_before}
        self._issued_before = kept | {user_id: now}
        # Connections in their handshake too: their tokens were verified before the revocation.
        connections = manager.kick_user(user_id)
        _log.warning("tokens_revoked", user_id=user_id, connections=connections)
        return connections
