"""The header that carries a client's token."""


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that carries a token (RFC 6750 section 2.1), or none without a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}
