"""The port to whatever verifies tokens."""

from typing import Protocol

from app.core.access.identity import Identity


class Verifier(Protocol):
    """Who believes tokens, where they are asked for."""

    async def verify(self, token: str) -> Identity:
        """Give who a token speaks for. Raises Theirs(UNAUTHORIZED, TOKEN_EXPIRED), Ours where it cannot be known."""
