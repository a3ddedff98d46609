"""Choose the verifier that the settings ask for."""

from app.adapters.tokens.anonymous import AnonymousVerifier
from app.adapters.tokens.jwks import PublishedKeys
from app.adapters.tokens.keys import FixedKey, KeySource, public_key, secret_key
from app.adapters.tokens.verifier import ExpectedClaims, JwtVerifier
from app.config import Settings
from app.flows.connections.revocations import Revocations
from app.options import InvalidSetting
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.telemetry.stats import Stats


def create_verifier(settings: Settings, revocations: Revocations, clock: Clock, stats: Stats) -> Verifier:
    """Return a JwtVerifier if the settings have a secret, a public key or a JWKS URL, otherwise an AnonymousVerifier.

    Raises InvalidSetting if the secret or public key cannot be used.
    """
    keys = _keys(settings, clock)
    if keys is None:
        return AnonymousVerifier()
    expected = ExpectedClaims(settings.jwt_audience or None, settings.jwt_issuer or None)
    return JwtVerifier(keys, expected, revocations, clock, stats)


def _keys(settings: Settings, clock: Clock) -> KeySource | None:
    if settings.jwks_url:
        return PublishedKeys(settings.jwks_url, clock)
    for name, read in (("jwt_secret", secret_key), ("jwt_public_key", public_key)):
        text = getattr(settings, name)
        if text:
            try:
                return FixedKey(read(text))
            except ValueError as error:
                raise InvalidSetting(name, "…", str(error)) from None
    return None
