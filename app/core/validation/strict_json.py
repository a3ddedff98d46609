"""Which JSON we accept from outside. This file owns the checks that `json` and `msgspec` leave out.

Refused beside malformed text: nesting deeper than 8, duplicate keys (RFC 8259 section 4 leaves their meaning open), NUL
characters, integers outside ±2^53 (a JavaScript client would round them). NaN, Infinity and lone surrogates are refused
by msgspec itself. All of it is found in one walk over what was decoded: the raw text is read by C alone.
"""

import re

import msgspec

from app.core.errors import ClientError, ErrorCode, FieldError

MAX_DEPTH = 8
MAX_SAFE_INTEGER = 2**53

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_TOO_DEEP = f"nested deeper than {MAX_DEPTH}"


class _NotAccepted(Exception):
    """What about a well-formed document is not accepted."""


class _DocumentWalk:
    """What a walk over a document counts: its keys, and the colons in its strings. Raises _Odd."""

    __slots__ = ("colons", "keys")

    def __init__(self, document: object) -> None:
        self.keys = self.colons = 0
        self._visit(document, 0)

    def _visit(self, value: object, depth: int) -> None:
        if isinstance(value, str):
            self._check_text(value)
        elif isinstance(value, dict):
            self._check_depth(depth)
            self.keys += len(value)
            for key, inner in value.items():
                self._check_text(key)
                self._visit(inner, depth + 1)
        elif isinstance(value, list):
            self._check_depth(depth)
            for inner in value:
                self._visit(inner, depth + 1)
        elif isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
            raise _NotAccepted("integers must be within ±2^53")

    def _check_text(self, text: str) -> None:
        if "\0" in text:
            raise _NotAccepted("NUL characters are not accepted")
        self.colons += text.count(":")

    def _check_depth(self, depth: int) -> None:
        if depth == MAX_DEPTH:
            raise _NotAccepted(_TOO_DEEP)


def decode_object(body: bytes, otherwise: ErrorCode = ErrorCode.INVALID_PARAMETER) -> dict[str, object]:
    """Decode one JSON object. Raises Theirs: INVALID_JSON, and `otherwise` for JSON that is no object."""
    try:
        document: object = msgspec.json.decode(body)
        _check_document(document, body)
    except (msgspec.MsgspecError, UnicodeDecodeError, _NotAccepted) as error:
        raise _refusal(str(error)) from None
    except RecursionError:
        # No ValueError: msgspec goes some hundred levels deep before it gives up.
        raise _refusal(_TOO_DEEP) from None
    if not isinstance(document, dict):
        raise ClientError(otherwise, fields=(FieldError("", "want an object at the top"),))
    return document


def _check_document(document: object, body: bytes) -> None:
    walk = _DocumentWalk(document)
    # Outside strings every colon follows a key, so fewer keys than colons means that one was there twice.
    colons = _colons_outside_strings(body) if b"\\u00" in body else body.count(b":") - walk.colons
    if walk.keys != colons:
        raise _NotAccepted("a key stands twice in one object")


def _colons_outside_strings(body: bytes) -> int:
    """Count them in the text itself, where one in a string may be written as an escape."""
    return _STRING.sub(b"", body).count(b":")


def _refusal(detail: str) -> ClientError:
    # The empty pointer is the whole document (RFC 6901). The message is the original's, to the letter.
    return ClientError(ErrorCode.INVALID_JSON, "Invalid JSON", fields=(FieldError("", detail),))
