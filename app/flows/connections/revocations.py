"""Revoked tokens, which are refused although they have not expired.

A revocation covers every token that was issued for a user up to the time of the revocation. It cannot name a single
token, because a token need not have an id. A revocation is stored on disk first, then takes effect, and then the user's
connections are closed. Whenever one is stored, revocations older than the longest lifetime of a token are deleted: the
tokens that they cover have expired.
"""

import structlog

from app.core.access.identity import LEEWAY_S, MAX_TOKEN_LIFETIME_S
from app.flows.connections.manager import ConnectionManager
from app.ports.clock import Clock
from app.ports.stores import RevocationStore

_log = structlog.get_logger("revocations")


class Revocations:
    """The revocations of all users: for each user who has one, its time (Unix seconds). The user's tokens that were
    issued at that time or earlier are refused.
    """

    def __init__(self, store: RevocationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._issued_before: dict[str, float] = {}
        # The latest time of issue of each user's accepted tokens, if that time is still in the future: the clocks of
        # signers may be up to LEEWAY_S ahead.
        self._issued_ahead: dict[str, float] = {}

    async def load(self) -> None:
        """Load the stored revocations, when the server starts."""
        self._issued_before = await self._store.load()

    def is_revoked(self, user_id: str, issued_at: float | None) -> bool:
        """Return whether a user's token is revoked. `issued_at` is in Unix seconds, or None if the token does not
        contain it. A token without that time counts as revoked if the user has a revocation, because the token may be
        older.
        """
        before = self._issued_before.get(user_id)
        return before is not None and (issued_at is None or issued_at <= before)

    def record_accepted(self, user_id: str, issued_at: float | None) -> None:
        """Remember an accepted token that was issued in the future, as seen by this server's clock, so that a
        revocation before that time covers it.
        """
        now = self._clock.wall()
        if issued_at is not None and issued_at > now:
            self._issued_ahead = {user: at for user, at in self._issued_ahead.items() if at > now}
            self._issued_ahead[user_id] = max(issued_at, self._issued_ahead.get(user_id, 0.0))

    async def revoke(self, user_id: str, manager: ConnectionManager) -> int:
        """Revoke every token that was issued for a user until now, and return how many connections were closed. Raises
        ServerError if the revocation cannot be stored; then nothing is revoked.
        """
        now = self._clock.wall()
        forget_before = now - MAX_TOKEN_LIFETIME_S - LEEWAY_S
        until = max(now, self._issued_ahead.get(user_id, 0.0))
        await self._store.save(user_id, until, forget_before)
        kept = {user: before for user, before in self._issued_before.items() if before >= forget_before}
        self._issued_before = kept | {user_id: until}
        # This also disconnects sessions that are not open yet: their tokens were verified before the revocation.
        connections = manager.kick_user(user_id)
        _log.warning("tokens_revoked", user_id=user_id, connections=connections)
        return connections
