"""Which tokens the settings ask for. This file owns the step from settings to a verifier."""

from app.adapters.tokens.jwks import PublishedKeys
from app.adapters.tokens.keys import FixedKey, KeySource, public_key, secret_key
from app.adapters.tokens.verifier import Claims, JwtVerifier
from app.config import InvalidSetting, Settings
from app.flows.connections.revocations import Revocations
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.telemetry.stats import Stats


def create_verifier(settings: Settings, revocations: Revocations, clock: Clock, stats: Stats) -> Verifier | None:
    """Give who believes tokens, None where none are asked for. Raises BadSetting."""
    keys = _keys(settings, clock)
    if keys is None:
        return None
    wanted = Claims(settings.jwt_audience or None, settings.jwt_issuer or None)
    return JwtVerifier(keys, wanted, revocations, clock, stats)


def _keys(settings: Settings, clock: Clock) -> KeySource | None:
    if settings.jwks_url:
        return PublishedKeys(settings.jwks_url, clock)
    for name, read in (("jwt_secret", secret_key), ("jwt_public_key", public_key)):
        given = getattr(settings, name)
        if given:
            try:
                return FixedKey(read(given))
            except ValueError as error:
                raise InvalidSetting(name, "…", str(error)) from None
    return None
