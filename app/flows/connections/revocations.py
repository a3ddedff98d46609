"""Tokens that are believed no more, though they have not ended. This file owns revoking them, and the order of it.

A token has no name that its signer would tell us, so what is revoked is everything that was issued for a user until
now: first on the disk, then in force, then the connections that came by such a token go. What no token can outlive is
forgotten.
"""

import structlog

from app.core.access.identity import LEEWAY_S, MAX_TOKEN_LIFETIME_S
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.manager import ConnectionManager
from app.ports.clock import Clock
from app.ports.stores import RevocationStore

_log = structlog.get_logger("revocations")


class Revocations:
    """Until when issued tokens of a user are refused; times in Unix seconds."""

    def __init__(self, store: RevocationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._issued_before: dict[str, float] = {}

    async def load(self) -> None:
        """Know again what was revoked before a restart."""
        self._issued_before = await self._store.load()

    def is_revoked(self, user_id: str, issued_at: float | None) -> bool:
        """Say whether a token is refused; one that does not say when it was issued may be an old one."""
        before = self._issued_before.get(user_id)
        return before is not None and (issued_at is None or issued_at <= before)

    async def revoke(self, user_id: str, connections: ConnectionManager) -> int:
        """Refuse every token of a user that was issued so far; give how many connections end. Raises Ours."""
        now = self._clock.wall()
        forget_before = now - MAX_TOKEN_LIFETIME_S - LEEWAY_S
        await self._store.save(user_id, now, forget_before)
        kept = {user: before for user, before in self._issued_before.items() if before >= forget_before}
        self._issued_before = kept | {user_id: now}
        # Those that still shake hands too: their tokens were believed before this.
        theirs = [one for one in connections.all_sessions() if one.user_id == user_id and one.ending is None]
        for session in theirs:
            connections.disconnect(session, DisconnectReason.KICKED)
        _log.warning("tokens_revoked", user_id=user_id, connections=len(theirs))
        return len(theirs)
