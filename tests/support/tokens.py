"""Tokens as others sign them: with PyJWT's own encoder and keys made here, without the server's code."""

import base64
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# Tokens that are signed when a module is imported must last until the end of the longest run.
LIFE_S = 12 * 3_600.0

SECRET = "a secret of more than thirty-two bytes"
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def pem(private: Any) -> str:
    """Return the public half of a key as PEM."""
    return str(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def token(
    user: str = "alice", *, key: Any = SECRET, algorithm: str = "HS256", life_s: float = LIFE_S, **more: Any
) -> str:
    """Sign a token; `header` and claims as given, None omits a claim."""
    header = more.pop("header", None)
    claims = {"sub": user, "exp": int(time.time() + life_s), **more}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers=header)


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Assemble a token by hand, as an attacker does."""
    return ".".join(map(_base64, (json.dumps(header).encode(), json.dumps(claims).encode(), signature)))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
