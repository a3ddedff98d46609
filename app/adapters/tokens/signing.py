"""Tokens for people who run this themselves. This file owns what `polyfloat-news token` prints."""

from collections.abc import Iterable

import jwt

from app.adapters.tokens.keys import secret_key


def sign(
    secret: str,
    user: str,
    scopes: Iterable[str],
    now: float,
    life_s: float,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """Sign a token with the shared secret; `now` in Unix seconds. Raises ValueError where that is too short."""
    claims: dict[str, object] = {"sub": user, "iat": int(now), "exp": int(now + life_s)}
    claims |= {name: value for name, value in (("aud", audience), ("iss", issuer)) if value}
    if scope := " ".join(scopes):
        claims["scope"] = scope
    key = secret_key(secret)
    return jwt.encode(claims, key.key, algorithm=key.algorithm)
