"""Which JSON we accept from outside. This file owns the checks that `json` and `msgspec` leave out.

Refused beside malformed text: nesting deeper than 8 (RecursionError is no ValueError, so it is looked for before
parsing), duplicate keys (RFC 8259 section 4 leaves their meaning open), NUL characters, integers outside ±2^53 (a
JavaScript client would round them). NaN, Infinity and lone surrogates are refused by msgspec itself.
"""

import re

import msgspec

from app.core.errors import Code, FieldError, Theirs

MAX_DEPTH = 8
MAX_SAFE_INTEGER = 2**53

STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
LONG_NUMBER = re.compile(rb"\d{16}")
_STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


def decode_object(body: bytes, otherwise: Code = Code.INVALID_PARAMETER) -> dict[str, object]:
    """Decode one JSON object. Raises Theirs: INVALID_JSON, and `otherwise` for JSON that is no object."""
    skeleton = STRING.sub(b"", body)
    if _depth(skeleton) > MAX_DEPTH:
        raise _refusal(f"nested deeper than {MAX_DEPTH}")
    try:
        document: object = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _refusal(str(error)) from None
    if not isinstance(document, dict):
        raise Theirs(otherwise, fields=(FieldError("", "want an object at the top"),))
    _refuse_oddities(document, body, skeleton)
    return document


def _refuse_oddities(document: dict[str, object], body: bytes, skeleton: bytes) -> None:
    """Look closer only where the raw text could hide something: these checks are off the usual path."""
    # Outside strings every colon follows a key, so fewer keys than colons means that one was there twice.
    if _count_keys(document) != skeleton.count(b":"):
        raise _refusal("a key stands twice in one object")
    if b"\\u0000" in body and _has_nul(document):
        raise _refusal("NUL characters are not accepted")
    if LONG_NUMBER.search(skeleton) and _has_unsafe_integer(document):
        raise _refusal("integers must be within ±2^53")


def _depth(skeleton: bytes) -> int:
    depth = deepest = 0
    for byte in skeleton:
        if byte in _STEP:
            depth += _STEP[byte]
            deepest = max(deepest, depth)
    return deepest


def _count_keys(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_keys, value.values()))
    if isinstance(value, list):
        return sum(map(_count_keys, value))
    return 0


def _has_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _has_unsafe_integer(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unsafe_integer, value.values()))
    if isinstance(value, list):
        return any(map(_has_unsafe_integer, value))
    return isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER


def _refusal(detail: str) -> Theirs:
    # The empty pointer is the whole document (RFC 6901). The message is the original's, to the letter.
    return Theirs(Code.INVALID_JSON, "Invalid JSON", fields=(FieldError("", detail),))
