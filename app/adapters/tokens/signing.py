"""Tokens for people who run this themselves. This file owns what `polyfloat-news token` prints."""

from collections.abc import Iterable, Mapping

import jwt

from app.adapters.tokens.keys import secret_key


def sign(
    secret: str,
    user: str,
    scopes: Iterable[str],
    now: float,
    life_s: float,
    more: Mapping[str, object],
) -> str:
    """Sign a token with the shared secret, and with more claims; `now` in Unix seconds.

    Raises ValueError where the secret is too short.
    """
    claims: dict[str, object] = {"sub": user, "iat": int(now), "exp": int(now + life_s), **more}
    if scope := " ".join(scopes):
        claims["scope"] = scope
    key = secret_key(secret)
    return jwt.encode(claims, key.key, algorithm=key.algorithm)
