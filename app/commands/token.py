"""`polyfloat-news token`: print a signed token."""

import argparse
import os
import sys

from app.adapters.system.clock import SystemClock
from app.adapters.tokens.signing import sign
from app.commands.exits import WRONG, complain
from app.config import read_settings
from app.core.access.entitlement import parse_entitlement
from app.core.access.identity import MAX_TOKEN_LIFETIME_S, Scope, check_subject
from app.core.errors import ClientError
from app.core.validation.strict_json import decode_object
from app.options import InvalidSetting


def add_token(parser: argparse.ArgumentParser) -> None:
    max_hours = MAX_TOKEN_LIFETIME_S / 3600
    parser.add_argument("--user", required=True, help="the user that the token identifies")
    scopes = [scope.value for scope in Scope]
    parser.add_argument("--scope", action="append", default=[], choices=scopes, help="what it allows (may be repeated)")
    parser.add_argument("--hours", type=float, default=1.0, help=f"lifetime, at most {max_hours:g} (default 1)")
    parser.add_argument("--ent", default="", help="what its bearer may see, as JSON (docs/protocol.md)")
    parser.set_defaults(run=_token)


def _token(arguments: argparse.Namespace) -> int:
    try:
        settings = read_settings(os.environ, {})
        if not settings.jwt_secret:
            raise InvalidSetting("jwt_secret", "", "must be set to the secret that the server verifies tokens with")
        max_hours = MAX_TOKEN_LIFETIME_S / 3600
        if not 0 < arguments.hours <= max_hours:
            raise ValueError(f"--hours {arguments.hours:g}: must be above 0 and at most {max_hours:g}")
        now, lifetime_s = SystemClock().wall(), arguments.hours * 3600
        optional: dict[str, object] = {
            "aud": settings.jwt_audience,
            "iss": settings.jwt_issuer,
            "ent": _entitlement(arguments.ent),
        }
        claims = {name: value for name, value in optional.items() if value not in (None, "")}
        _check_user(arguments.user)
        try:
            token = sign(settings.jwt_secret, arguments.user, arguments.scope, now, lifetime_s, claims)
        except ValueError as error:
            raise InvalidSetting("jwt_secret", settings.jwt_secret, str(error)) from None
    except ValueError as error:
        return complain(error, WRONG)
    sys.stdout.write(f"{token}\n")
    return 0


def _entitlement(text: str) -> object:
    """Parse the JSON text of `--ent` and return it as the claim `ent`, or None for an empty text. Raises ValueError if
    the text is not valid JSON or not a valid claim.
    """
    if not text:
        return None
    try:
        claim = decode_object(text.encode(errors="replace"))
        parse_entitlement(claim)
    except ClientError as error:
        where = "; ".join(f"{bad.pointer} {bad.detail}".strip() for bad in error.fields)
        raise ValueError(f"--ent: {error.detail}: {where}") from None
    return claim


def _check_user(user: str) -> None:
    """Raise ValueError if the server would refuse a token for this user."""
    try:
        check_subject(user)
    except ClientError as error:
        raise ValueError(f"--user {user!r}: {error.detail.removeprefix('sub ')}") from None
