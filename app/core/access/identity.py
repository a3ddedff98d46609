"""The identity and scopes of a caller, from the claims of a verified token.

A token identifies one user, its `sub`, and its bearer cannot act as another user, except over REST with the scope
`news:admin`. A scope lets the bearer publish (`news:publish`) or do everything that an operator may do (`news:admin`).
A server that requires no tokens lets every caller act as any user.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement, parse_entitlement
from app.core.errors import ClientError, ErrorCode

MAX_TOKEN_LIFETIME_S = 24 * 3600.0
LEEWAY_S = 30.0
"""How far the clocks of signer and verifier may differ, in seconds."""

# Identity providers choose ids such as "auth0|5f7c", "spiffe://host/path" and "a+b@example.com". Excluded are spaces,
# control characters, characters that change the direction of text or have no width, and surrogates.
USER_ID = r"^[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]{1,256}$(?!\n)"
USER_ID_MUST_BE = "1 to 256 bytes without spaces and control characters"
DEVICE_ID = r"^[A-Za-z0-9_.:@-]{1,64}$(?!\n)"

_MAX_USER_ID_BYTES = 256
_USER_ID = re.compile(USER_ID)


class Scope(StrEnum):
    """A right that a token may give its bearer. Without one, the bearer can act only as the token's user, and neither
    publish nor operate the server.
    """

    PUBLISH = "news:publish"
    ADMIN = "news:admin"


class Identity(NamedTuple):
    """A caller and its rights. `user_id` is None for a caller that may act as any user; `expires_at` is in Unix
    seconds, or None if the identity does not expire.
    """

    user_id: str | None = None
    scopes: frozenset[str] = frozenset(Scope)
    expires_at: float | None = None
    entitled: Entitlement = UNRESTRICTED

    def check_scope(self, scope: Scope) -> None:
        """Raise ClientError(FORBIDDEN) if the caller does not have this scope."""
        if scope not in self.scopes:
            raise ClientError(ErrorCode.FORBIDDEN, f"The token must have the scope {scope.value}")

    def check_user(self, user_id: str) -> None:
        """Raise ClientError(FORBIDDEN) unless the caller is this user, may act as any user, or is an operator (scope
        `news:admin`).
        """
        if self.user_id not in (None, user_id) and Scope.ADMIN not in self.scopes:
            raise ClientError(ErrorCode.FORBIDDEN, "The token is another user's")

    def resolve_user(self, requested: str | None) -> str | None:
        """Return the user of a new connection: the token's user, or `requested` if the caller may act as any user. The
        result is None if such a caller requested no user. Raises ClientError(FORBIDDEN) if the token has a user and
        another one is requested.
        """
        if self.user_id is not None and requested not in (None, self.user_id):
            raise ClientError(ErrorCode.FORBIDDEN, "user_id must be the token's")
        return self.user_id or requested


ANONYMOUS = Identity()
"""The identity of every caller of a server that requires no tokens."""


def parse_claims(claims: Mapping[str, Any], now: float) -> Identity:
    """Return the identity that the claims of a verified token describe. The claims must include `exp` and `sub`; `now`
    is in Unix seconds. Raises ClientError(UNAUTHORIZED), and TypeError or ValueError if `sub`, `exp` or `iat` has the
    wrong type.

    The lifetime of a token counts from its `iat`, or from `now` if `iat` is missing or in the future. A token that
    lives longer than 24 hours (plus LEEWAY_S) is refused: a stolen one would be useful for too long.
    """
    subject, expires_at = claims["sub"], float(claims["exp"])
    check_subject(subject)
    if expires_at - min(float(claims.get("iat", now)), now) > MAX_TOKEN_LIFETIME_S + LEEWAY_S:
        raise ClientError(
            ErrorCode.UNAUTHORIZED,
            f"The token is valid for too long: it must be at most {MAX_TOKEN_LIFETIME_S / 3600:g} hours",
        )
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise ClientError(ErrorCode.UNAUTHORIZED, "scope must be words separated by spaces (RFC 8693 section 4.2)")
    entitled = parse_entitlement(claims["ent"]) if "ent" in claims else UNRESTRICTED
    return Identity(subject, frozenset(scope.split()), expires_at, entitled)


def check_subject(subject: str) -> None:
    """Raise ClientError(UNAUTHORIZED) if the claim `sub` is not a user id, and TypeError if it is not a string."""
    if not is_user_id(subject):
        raise ClientError(ErrorCode.UNAUTHORIZED, f"sub must be a user id: {USER_ID_MUST_BE}")


def is_user_id(text: str) -> bool:
    """Return whether a text may be a user id. Raises TypeError if it is not a string."""
    return _USER_ID.match(text) is not None and len(text.encode()) <= _MAX_USER_ID_BYTES
