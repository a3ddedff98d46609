"""Saying who we are. This file owns the header of our clients' requests."""


def bearer(token: str | None) -> dict[str, str]:
    """Give the header that carries a token (RFC 6750 section 2.1), none without one."""
    return {"Authorization": f"Bearer {token}"} if token else {}
