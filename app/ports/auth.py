"""The port to whatever verifies tokens."""

from typing import Protocol

from app.core.access.identity import Identity


class Verifier(Protocol):
    """Verifies tokens, or lets every caller in without one."""

    @property
    def requires_tokens(self) -> bool:
        """Return whether callers need a token."""

    async def verify(self, token: str | None) -> Identity:
        """Return the identity that a token proves; None stands for no token.

        Raises ClientError(UNAUTHORIZED, TOKEN_EXPIRED), and ServerError if the keys are not available.
        """
