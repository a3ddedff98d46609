"""The header that carries a client's token."""


def bearer(token: str | None) -> dict[str, str]:
    """Return the Authorization header for a token (RFC 6750 section 2.1), or no header if the token is
    None or empty.
    """
    return {"Authorization": f"Bearer {token}"} if token else {}
