"""Decode JSON from outside, with the checks that `json` and `msgspec` leave out.

Refused are malformed text, nesting deeper than 8 levels, a key that appears twice in an object (RFC 8259 section 4
leaves its meaning open), NUL characters, and integers outside ±2^53, which a JavaScript client would round. msgspec
itself refuses malformed text, NaN, Infinity and lone surrogates. A byte order mark before the document is ignored. One
walk over the decoded document does the other checks. A key that appears twice is found by counting: the text then has
more colons outside strings than the decoded document has keys. For speed, only C code reads the raw text, to parse it
and to count colons.
"""

import re

import msgspec

from app.core.errors import ClientError, ErrorCode, FieldError

MAX_DEPTH = 8
MAX_SAFE_INTEGER = 2**53

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_TOO_DEEP = f"must not be nested deeper than {MAX_DEPTH}"


class _NotAccepted(Exception):
    """Raised for a well-formed document that is not accepted; the message says why."""


class _DocumentWalk:
    """One walk over a decoded document. It counts the keys, and the colons inside strings and keys: both numbers are
    needed to find duplicate keys. Raises _NotAccepted for nesting that is too deep, NUL characters, and integers
    outside ±2^53.
    """

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
            raise _NotAccepted("integers must be between -2^53 and 2^53")

    def _check_text(self, text: str) -> None:
        if "\0" in text:
            raise _NotAccepted("strings must not contain NUL characters")
        self.colons += text.count(":")

    def _check_depth(self, depth: int) -> None:
        if depth == MAX_DEPTH:
            raise _NotAccepted(_TOO_DEEP)


def decode_object(body: bytes, not_an_object: ErrorCode = ErrorCode.INVALID_PARAMETER) -> dict[str, object]:
    """Decode one JSON object. Raises ClientError(INVALID_JSON) if the text is refused, and ClientError(`not_an_object`)
    if the text is accepted but is not a JSON object.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        document: object = msgspec.json.decode(body)
        _check_document(document, body)
    except _NotAccepted as error:
        raise _invalid_json(str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _invalid_json(_describe(error, body)) from None
    except RecursionError:
        # msgspec raises RecursionError for a document that is nested some hundred levels deep. It is neither a
        # MsgspecError nor a ValueError, so it is caught separately.
        raise _invalid_json(_TOO_DEEP) from None
    if not isinstance(document, dict):
        raise ClientError(not_an_object, fields=(FieldError("", "must be an object"),))
    return document


def _describe(error: Exception, body: bytes) -> str:
    """Return what is wrong with a text that msgspec refuses. msgspec's own words are used if they speak of JSON."""
    if not body.strip():
        return "must not be empty"
    try:
        body.decode()
    except UnicodeDecodeError as undecodable:
        return f"must be UTF-8: byte {undecodable.start} is not"
    if _LONE_SURROGATE.search(body):
        return "strings must not contain lone surrogates"
    if isinstance(error, msgspec.ValidationError):
        return "numbers must be at most 1.8e308"
    text = str(error)
    return text if text.startswith("JSON is malformed") else "JSON is malformed: it ends too early"


def _check_document(document: object, body: bytes) -> None:
    walk = _DocumentWalk(document)
    # Outside strings every colon follows a key. If a key appears twice, the text has more colons than the decoded
    # document has keys.
    colons = _colons_outside_strings(body) if b"\\u00" in body else body.count(b":") - walk.colons
    if walk.keys != colons:
        raise _NotAccepted("a key must not appear twice in an object")


def _colons_outside_strings(body: bytes) -> int:
    """Count the colons outside strings by removing the strings from the raw text. This count is right even if a string
    holds a colon as an escape sequence (`\\u003a`). Such a colon is in the decoded string but not in the raw text, so
    it must not be subtracted from the number of colons in the raw text.
    """
    return _STRING.sub(b"", body).count(b":")


def _invalid_json(detail: str) -> ClientError:
    # The empty pointer stands for the whole document (RFC 6901). The message is "Invalid JSON" because existing clients
    # know it.
    return ClientError(ErrorCode.INVALID_JSON, "Invalid JSON", fields=(FieldError("", detail),))
