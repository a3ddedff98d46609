"""Whether a token is believed. This file owns the checks of a JSON Web Token (RFC 7519, RFC 8725), by PyJWT.

PyJWT's own defaults believe a token that never expires, one that does in the year 9999, and any `typ`; here `exp` and
`sub` are required, `aud` and `iss` are what the settings say, and the algorithm is the key's.
"""

from typing import Any, NamedTuple

import jwt

from app.adapters.tokens.keys import KeySource, UnknownKey
from app.core.access.identity import LEEWAY_S, Identity, parse_claims
from app.core.errors import ClientError, ErrorCode, FieldError, NewsError
from app.flows.connections.revocations import Revocations
from app.ports.clock import Clock
from app.telemetry.labels import TokenCheck
from app.telemetry.stats import Stats

_TYPES = ("jwt", "at+jwt")
# Where a token would say itself what to check it with, or that it has to be understood otherwise.
_REFUSED_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64")
_MAX_BYTES = 8 * 1024


class Claims(NamedTuple):
    """What a token has to be for, where the settings say; None: nothing."""

    audience: str | None
    issuer: str | None


class _TokenRejected(Exception):
    """A token that is not believed: how that is counted, and what its bearer is told."""

    def __init__(
        self,
        result: TokenCheck,
        detail: str,
        code: ErrorCode = ErrorCode.UNAUTHORIZED,
        fields: tuple[FieldError, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.result = result
        self.error = ClientError(code, detail, fields=fields)


class JwtVerifier:
    """Believes tokens that one of the keys signed, that are meant for this server, and that have not ended."""

    def __init__(self, keys: KeySource, wanted: Claims, revocations: Revocations, clock: Clock, stats: Stats) -> None:
        self._keys = keys
        self._wanted = wanted
        self._revocations = revocations
        self._clock = clock
        self._stats = stats

    async def verify(self, token: str) -> Identity:
        """Give who a token speaks for. Raises Theirs(UNAUTHORIZED, TOKEN_EXPIRED), Ours where keys cannot be had."""
        try:
            identity = await self._verify(token)
        except _TokenRejected as refused:
            self._stats.token_checks[refused.result] += 1
            raise refused.error from None
        except NewsError:
            self._stats.token_checks[TokenCheck.ERROR] += 1
            raise
        self._stats.token_checks[TokenCheck.OK] += 1
        return identity

    async def _verify(self, token: str) -> Identity:
        header = _header(token)
        key_id = header.get("kid")
        try:
            key = await self._keys.find(key_id if isinstance(key_id, str) else None)
        except UnknownKey:
            raise _TokenRejected(TokenCheck.BAD_SIGNATURE, "No key of this server goes with the token") from None
        if header.get("alg") != key.algorithm:
            raise _TokenRejected(TokenCheck.BAD_SIGNATURE, f"The token's alg is not the key's: want {key.algorithm}")
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._wanted.audience,
                issuer=self._wanted.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub"]},
            )
            identity = parse_claims(claims, self._clock.wall())
        except ClientError as error:
            raise _TokenRejected(TokenCheck.MALFORMED, error.detail, fields=error.fields) from None
        # RecursionError, OverflowError and their like are what a payload can make of a JSON parser.
        except (jwt.PyJWTError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise _refused(error) from None
        if self._revocations.is_revoked(claims["sub"], claims.get("iat")):
            raise _TokenRejected(TokenCheck.REVOKED, "The token was revoked: ask for a new one")
        return identity


def _header(token: str) -> dict[str, Any]:
    try:
        if len(token) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError, TypeError, ValueError) as error:
        raise _TokenRejected(TokenCheck.MALFORMED, "This is no token: want a JSON Web Token") from error
    if any(name in header for name in _REFUSED_HEADERS):
        raise _TokenRejected(TokenCheck.MALFORMED, f"The token's header may have none of {', '.join(_REFUSED_HEADERS)}")
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise _TokenRejected(TokenCheck.MALFORMED, "The token's typ is another: want JWT or at+jwt")
    return header


def _refused(error: Exception) -> _TokenRejected:
    """Say what was wrong without a word of the token."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        is_about_whom = error.claim in ("aud", "iss")
        result = TokenCheck.WRONG_AUDIENCE if is_about_whom else TokenCheck.MALFORMED
        return _TokenRejected(result, f"The token has no {error.claim}")
    if isinstance(error, jwt.ExpiredSignatureError):
        return _TokenRejected(TokenCheck.EXPIRED, "The token has expired", ErrorCode.TOKEN_EXPIRED)
    result, detail = next((why for kind, why in _WHY if isinstance(error, kind)), _UNREADABLE)
    return _TokenRejected(result, detail)


_WHY: tuple[tuple[type[Exception], tuple[TokenCheck, str]], ...] = (
    (jwt.InvalidAudienceError, (TokenCheck.WRONG_AUDIENCE, "The token is for another service")),
    (jwt.InvalidIssuerError, (TokenCheck.WRONG_AUDIENCE, "The token is by another issuer")),
    (jwt.InvalidSignatureError, (TokenCheck.BAD_SIGNATURE, "The token's signature is not right")),
    (jwt.ImmatureSignatureError, (TokenCheck.MALFORMED, "The token is not valid yet")),
)
_UNREADABLE = (TokenCheck.MALFORMED, "The token cannot be read")
