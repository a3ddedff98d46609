"""Keys, and the one algorithm of each: a token does not choose its algorithm.

So a public key is never used as an HMAC secret, and "none" is not an algorithm of any key (RFC 8725 section 3.1).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.exceptions import PyJWTError

_MIN_SECRET_BYTES = 32
_MIN_RSA_BITS = 2_048


class Key(NamedTuple):
    """A key, and the one algorithm whose signatures it verifies."""

    algorithm: str
    # Any: the type that PyJWT takes depends on the algorithm.
    key: Any


class UnknownKey(Exception):
    """No key fits a token."""


class KeySource(Protocol):
    """Where keys are looked up."""

    async def find(self, key_id: str | None) -> Key:
        """Return the key with this id. Raises UnknownKey, and ServerError if the keys are not available now."""


class FixedKey:
    """The only key, whatever id a token names."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def find(self, key_id: str | None) -> Key:  # noqa: ARG002 - the interface of every source
        return self._key


def secret_key(secret: str) -> Key:
    """Return the key of a shared secret. Raises ValueError if it is short enough to guess (RFC 7518 section 3.2)."""
    encoded = secret.encode()
    if len(encoded) < _MIN_SECRET_BYTES:
        raise ValueError(f"must have at least {_MIN_SECRET_BYTES} bytes")
    return Key("HS256", encoded)


def public_key(pem: str) -> Key:
    """Parse a public key in PEM. Raises ValueError."""
    try:
        return _of(load_pem_public_key(pem.encode()))
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def published_keys(document: Mapping[str, Any]) -> dict[str, Key]:
    """Parse a JSON Web Key Set (RFC 7517): the usable keys by id. Other keys are skipped."""
    keys = {}
    for number, published in enumerate(document["keys"]):
        if published.get("use", "sig") == "sig" and published.get("kty") in ("RSA", "EC", "OKP"):
            try:
                keys[str(published.get("kid", number))] = _of(PyJWK(published).key)
            except (PyJWTError, ValueError, UnsupportedAlgorithm):
                continue
    return keys


def _of(key: object) -> Key:
    """Return a key with its algorithm. Raises ValueError for an unsupported kind of key."""
    if isinstance(key, RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return Key("RS256", key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return Key("ES256", key)
    if isinstance(key, Ed25519PublicKey):
        return Key("EdDSA", key)
    raise ValueError(f"must be RSA with at least {_MIN_RSA_BITS} bits, EC P-256 or Ed25519")
