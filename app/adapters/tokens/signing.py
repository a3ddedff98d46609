"""Sign tokens with the shared secret, for the command `polyfloat-news token`."""

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
    """Return a token that identifies a user, signed with the secret. It is issued at `now` (Unix seconds) and expires
    `life_s` seconds later; `more` contains further claims.

    Raises ValueError if the secret is too short.
    """
    claims: dict[str, object] = {"sub": user, "iat": int(now), "exp": int(now + life_s), **more}
    if scope := " ".join(scopes):
        claims["scope"] = scope
    key = secret_key(secret)
    return jwt.encode(claims, key.key, algorithm=key.algorithm)
