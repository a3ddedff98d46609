"""Who is asking, and what he may do. This file owns the claims of a token, once its signature is believed.

A token speaks for one user, its `sub`. Nobody is anybody else; a scope lets its bearer publish, or see and do what
operators do. Where the server asks for no tokens, everybody may be anybody.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from app.core.access.entitlement import UNRESTRICTED, Entitlement, parse_entitlement
from app.core.errors import ClientError, ErrorCode

MAX_TOKEN_LIFETIME_S = 24 * 3600.0
LEEWAY_S = 30.0
"""How far the clocks of who signs and of who believes may be apart."""

USER_ID = r"^[A-Za-z0-9_.:@-]{1,128}$(?!\n)"
DEVICE_ID = r"^[A-Za-z0-9_.:@-]{1,64}$(?!\n)"

_SUBJECT = re.compile(USER_ID)


class Scope(StrEnum):
    """What a token may allow beyond reading as its own user."""

    PUBLISH = "news:publish"
    ADMIN = "news:admin"


class Identity(NamedTuple):
    """A caller: the user, None for whoever it says it is; what it may do, until when (Unix seconds), None for ever; and
    what it may see.
    """

    user_id: str | None = None
    scopes: frozenset[str] = frozenset(Scope)
    expires_at: float | None = None
    entitled: Entitlement = UNRESTRICTED

    def check_scope(self, scope: Scope) -> None:
        """Raises Theirs(FORBIDDEN)."""
        if scope not in self.scopes:
            raise ClientError(ErrorCode.FORBIDDEN, f"The token needs the scope {scope.value}")

    def check_user(self, user_id: str) -> None:
        """Raises Theirs(FORBIDDEN) where the caller is somebody else, and no operator."""
        if self.user_id not in (None, user_id) and Scope.ADMIN not in self.scopes:
            raise ClientError(ErrorCode.FORBIDDEN, "The token is another user's")

    def resolve_user(self, asked: str | None) -> str | None:
        """Give the user of a connection: who is asked for has to be the caller. Raises Theirs(FORBIDDEN)."""
        if self.user_id is not None and asked not in (None, self.user_id):
            raise ClientError(ErrorCode.FORBIDDEN, "user_id is not the token's")
        return self.user_id or asked


ANONYMOUS = Identity()
"""Everybody, where no tokens are asked for."""


def parse_claims(claims: Mapping[str, Any], now: float) -> Identity:
    """Read the claims of a believed token; `now` in Unix seconds. Raises Theirs(UNAUTHORIZED).

    `exp` and `sub` are there. A token for longer than a day is not believed: who has one would have it for ever.
    """
    subject, expires_at = claims["sub"], float(claims["exp"])
    if not _SUBJECT.match(subject):
        raise ClientError(ErrorCode.UNAUTHORIZED, "sub is no user id: want 1 to 128 of A-Z a-z 0-9 _ . : @ -")
    if expires_at - min(float(claims.get("iat", now)), now) > MAX_TOKEN_LIFETIME_S + LEEWAY_S:
        raise ClientError(
            ErrorCode.UNAUTHORIZED,
            f"The token is valid for too long: want {MAX_TOKEN_LIFETIME_S / 3600:g} hours at most",
        )
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise ClientError(ErrorCode.UNAUTHORIZED, "scope: want words parted by spaces (RFC 8693 section 4.2)")
    entitled = parse_entitlement(claims["ent"]) if "ent" in claims else UNRESTRICTED
    return Identity(subject, frozenset(scope.split()), expires_at, entitled)
