"""The port for verifying tokens."""

from typing import Protocol

from app.core.access.identity import Identity


class Verifier(Protocol):
    """Verifies tokens, or lets every caller in without one."""

    @property
    def requires_tokens(self) -> bool:
        """Return whether callers need a token."""

    async def verify(self, token: str | None) -> Identity:
        """Return the identity that a token proves; `token` is None if the caller has none.

        Raises ClientError(UNAUTHORIZED, TOKEN_EXPIRED), and ServerError if the keys are not available.
        """
