"""Verify JSON Web Tokens (RFC 7519, RFC 8725) with PyJWT.

By default PyJWT accepts any `typ`, and a token that never expires or expires in the year 9999. This verifier requires
`exp` and `sub`, a lifetime of at most a day, and the `aud` and `iss` of the settings. The token's `alg` must be the
algorithm of the key, and a `typ`, if there is one, must be JWT or at+jwt.
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
# Header parameters that are refused. With them a token would bring or locate its own key, or require another kind of
# processing (crit, b64).
_REFUSED_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64")
_MAX_BYTES = 8 * 1024
_NO_TOKEN = "A token is required: send Authorization: Bearer <JSON Web Token>"  # noqa: S105 - a sentence


class ExpectedClaims(NamedTuple):
    """The `aud` and `iss` that a token must have. If `audience` is None, the token must not have `aud`. If `issuer` is
    None, any `iss` is accepted.
    """

    audience: str | None
    issuer: str | None


class _TokenRejected(Exception):
    """A token was rejected. `result` is the metric label, and `error` is what the caller is told."""

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
    """Accepts tokens that are signed with a known key, have the expected audience and issuer, and are neither expired
    nor revoked.
    """

    def __init__(
        self, keys: KeySource, expected: ExpectedClaims, revocations: Revocations, clock: Clock, stats: Stats
    ) -> None:
        self._keys = keys
        self._expected = expected
        self._revocations = revocations
        self._clock = clock
        self._stats = stats

    @property
    def requires_tokens(self) -> bool:
        return True

    async def verify(self, token: str | None) -> Identity:
        try:
            identity = await self._verify(token)
        except _TokenRejected as rejected:
            self._stats.connections.record_token_check(rejected.result)
            raise rejected.error from None
        except NewsError:
            self._stats.connections.record_token_check(TokenCheck.ERROR)
            raise
        self._stats.connections.record_token_check(TokenCheck.OK)
        return identity

    async def _verify(self, token: str | None) -> Identity:
        if token is None:
            raise _TokenRejected(TokenCheck.MISSING, _NO_TOKEN)
        header = _read_header(token)
        key_id = header.get("kid")
        try:
            key = await self._keys.find(key_id if isinstance(key_id, str) else None)
        except UnknownKey:
            raise _TokenRejected(TokenCheck.BAD_SIGNATURE, "No key of this server fits the token") from None
        if header.get("alg") != key.algorithm:
            raise _TokenRejected(TokenCheck.BAD_SIGNATURE, f"The token's alg must be {key.algorithm}, as the key's is")
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._expected.audience,
                issuer=self._expected.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub"]},
            )
            identity = parse_claims(claims, self._clock.wall())
        except ClientError as error:
            raise _TokenRejected(TokenCheck.MALFORMED, error.detail, fields=error.fields) from None
        # A hostile payload can make the JSON parser raise RecursionError, OverflowError and similar errors.
        except (jwt.PyJWTError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise _rejected(error) from None
        if self._revocations.is_revoked(claims["sub"], claims.get("iat")):
            raise _TokenRejected(TokenCheck.REVOKED, "The token was revoked: ask for a new one")
        self._revocations.record_accepted(claims["sub"], claims.get("iat"))
        return identity


def _read_header(token: str) -> dict[str, Any]:
    try:
        if len(token) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError, TypeError, ValueError) as error:
        raise _TokenRejected(TokenCheck.MALFORMED, "The token must be a JSON Web Token") from error
    if any(name in header for name in _REFUSED_HEADERS):
        detail = f"The token's header must have none of {', '.join(_REFUSED_HEADERS)}"
        raise _TokenRejected(TokenCheck.MALFORMED, detail)
    # A typ may be written without its prefix (RFC 7515 section 4.1.9).
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
        raise _TokenRejected(TokenCheck.MALFORMED, "The token's typ must be JWT or at+jwt")
    return header


def _rejected(error: Exception) -> _TokenRejected:
    """Return the rejection for an error that was raised while a token was decoded. The rejection's message contains
    nothing from the token.
    """
    if isinstance(error, jwt.MissingRequiredClaimError):
        setting = _SETTINGS.get(error.claim)
        result = TokenCheck.WRONG_AUDIENCE if setting else TokenCheck.MALFORMED
        detail = f"The token has no {error.claim}: it must be the server's {setting}" if setting else ""
        return _TokenRejected(result, detail or f"The token has no {error.claim}")
    if isinstance(error, jwt.ExpiredSignatureError):
        return _TokenRejected(TokenCheck.EXPIRED, "The token has expired", ErrorCode.TOKEN_EXPIRED)
    result, detail = next((reason for kind, reason in _REASONS if isinstance(error, kind)), _UNREADABLE)
    return _TokenRejected(result, detail)


_REASONS: tuple[tuple[type[Exception], tuple[TokenCheck, str]], ...] = (
    (
        jwt.InvalidAudienceError,
        (
            TokenCheck.WRONG_AUDIENCE,
            "The token's aud must be the server's NEWS_JWT_AUDIENCE",
        ),
    ),
    (jwt.InvalidIssuerError, (TokenCheck.WRONG_AUDIENCE, "The token's iss must be the server's NEWS_JWT_ISSUER")),
    (jwt.InvalidSignatureError, (TokenCheck.BAD_SIGNATURE, "The token's signature is not valid")),
    (jwt.ImmatureSignatureError, (TokenCheck.MALFORMED, "The token is not valid yet")),
)
_SETTINGS = {"aud": "NEWS_JWT_AUDIENCE", "iss": "NEWS_JWT_ISSUER"}
_UNREADABLE = (TokenCheck.MALFORMED, "The token cannot be read")
