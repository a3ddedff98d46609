"""The port for verifying tokens."""

from typing import Protocol

from app.core.access.identity import Identity


class Verifier(Protocol):
    """Verifies the tokens of callers. The verifier of a server that requires no tokens accepts every caller."""

    @property
    def requires_tokens(self) -> bool:
        """Return whether callers need a token."""

    async def verify(self, token: str | None) -> Identity:
        """Return the identity that a token proves; `token` is None if the caller has none.

        Raises ClientError with UNAUTHORIZED or TOKEN_EXPIRED, and ServerError if the keys that verify tokens are not
        available.
        """
