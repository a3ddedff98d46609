"""Keys and their algorithms. This file owns which algorithm goes with which key: the token has no say in it.

So a public key is never taken for an HMAC secret, and "none" is nobody's algorithm (RFC 8725 section 3.1).
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

_LEAST_SECRET_BYTES = 32
_LEAST_RSA_BITS = 2_048


class Key(NamedTuple):
    """A key, and the one algorithm whose signatures it checks."""

    algorithm: str
    # Any: what PyJWT takes for the algorithm.
    key: Any


class UnknownKey(Exception):
    """No key goes with a token."""


class KeySource(Protocol):
    """Where the keys are."""

    async def find(self, key_id: str | None) -> Key:
        """Give the key of this id. Raises UnknownKey, and Ours where it cannot be known now."""


class FixedKey:
    """The one key there is, whatever a token calls it."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def find(self, key_id: str | None) -> Key:  # noqa: ARG002 - the interface of every source
        return self._key


def secret_key(secret: str) -> Key:
    """Give the key of a shared secret. Raises ValueError where it can be guessed (RFC 7518 section 3.2)."""
    encoded = secret.encode()
    if len(encoded) < _LEAST_SECRET_BYTES:
        raise ValueError(f"want {_LEAST_SECRET_BYTES} bytes at least")
    return Key("HS256", encoded)


def public_key(pem: str) -> Key:
    """Read a public key in PEM. Raises ValueError."""
    try:
        return _of(load_pem_public_key(pem.encode()))
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error


def published_keys(document: Mapping[str, Any]) -> dict[str, Key]:
    """Read a JSON Web Key Set (RFC 7517): the keys that can be used, by id. Others are passed over."""
    keys = {}
    for number, published in enumerate(document["keys"]):
        if published.get("use", "sig") == "sig" and published.get("kty") in ("RSA", "EC", "OKP"):
            try:
                keys[str(published.get("kid", number))] = _of(PyJWK(published).key)
            except (PyJWTError, ValueError, UnsupportedAlgorithm):
                continue
    return keys


def _of(key: object) -> Key:
    """Raises ValueError where the key is of no kind that we believe."""
    if isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return Key("RS256", key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return Key("ES256", key)
    if isinstance(key, Ed25519PublicKey):
        return Key("EdDSA", key)
    raise ValueError(f"want RSA of {_LEAST_RSA_BITS} bits or more, EC P-256 or Ed25519")
