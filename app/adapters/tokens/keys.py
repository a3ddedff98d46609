"""Keys that verify tokens, each with exactly one algorithm, so that a token cannot choose its algorithm.

A public key is therefore never used as an HMAC secret, and no key has the algorithm "none" (RFC 8725 section 3.1).
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK

_MIN_SECRET_BYTES = 32
_MIN_RSA_BITS = 2_048


class Key(NamedTuple):
    """A key, and the one algorithm whose signatures it verifies."""

    algorithm: str
    # `Any`, because the type of key that PyJWT takes depends on the algorithm.
    key: Any


class UnknownKey(Exception):
    """There is no key for a token: its key id is unknown, or it has no key id although there are several keys."""


class KeySource(Protocol):
    """A source of keys that verify tokens: one configured key, or the keys of a URL."""

    async def find(self, key_id: str | None) -> Key:
        """Return the key for a token's key id; `key_id` is None for a token without a key id.

        Raises UnknownKey, and ServerError(OVERLOADED) if no keys are available now.
        """


class FixedKey:
    """One configured key, which is used for every token, whatever its key id."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def find(self, key_id: str | None) -> Key:  # noqa: ARG002 - the interface of every source
        return self._key


def secret_key(secret: str) -> Key:
    """Return the HS256 key of a shared secret. Raises ValueError if the secret is shorter than _MIN_SECRET_BYTES bytes
    (RFC 7518 section 3.2).
    """
    encoded = secret.encode()
    if len(encoded) < _MIN_SECRET_BYTES:
        raise ValueError(f"must have at least {_MIN_SECRET_BYTES} bytes")
    return Key("HS256", encoded)


def public_key(pem: str) -> Key:
    """Parse a public key in PEM. Raises ValueError if it cannot be parsed or is of an unsupported kind."""
    try:
        return _of(load_pem_public_key(pem.encode()))
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def published_keys(document: object) -> dict[str, Key]:
    """Return the usable keys of a JSON Web Key Set (RFC 7517) by key id. A key without an id is listed under its index
    in the set.

    Keys that are malformed, not for signatures, or of an unsupported kind are skipped. Raises ValueError if the
    document is not a key set.
    """
    published = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(published, list):
        raise ValueError("not a key set: it must be an object with a list of keys")
    keys = {}
    for number, entry in enumerate(published):
        if not isinstance(entry, Mapping):
            continue
        if entry.get("use", "sig") == "sig" and entry.get("kty") in ("RSA", "EC", "OKP"):
            # What PyJWT raises for a malformed key is not documented: besides its own errors, also TypeError,
            # NotImplementedError and errors of cryptography were seen. One bad key must not cost the others.
            with suppress(Exception):
                keys[str(entry.get("kid", number))] = _of(PyJWK(dict(entry)).key)
    return keys


def _of(key: object) -> Key:
    """Return a public key with its algorithm. The key must be RSA with at least _MIN_RSA_BITS bits, EC P-256 or
    Ed25519; any other key raises ValueError.
    """
    if isinstance(key, RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return Key("RS256", key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return Key("ES256", key)
    if isinstance(key, Ed25519PublicKey):
        return Key("EdDSA", key)
    raise ValueError(f"must be RSA with at least {_MIN_RSA_BITS} bits, EC P-256 or Ed25519")
