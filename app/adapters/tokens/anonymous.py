"""The verifier of a server that requires no tokens."""

from app.core.access.identity import ANONYMOUS, Identity


class AnonymousVerifier:
    """Ignores tokens: every caller may act as any user, and has every scope."""

    @property
    def requires_tokens(self) -> bool:
        return False

    async def verify(self, token: str | None) -> Identity:  # noqa: ARG002 - tokens are not looked at
        return ANONYMOUS
