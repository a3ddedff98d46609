"""Parse values from texts, and describe which JSON values a type accepts.

A setting or a query parameter is a text: a `Value` parses it. A JSON field has a Python type: `describe_type` describes
in words which JSON values the type accepts. Errors read "must be …".
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import inspect

UNIX_TIME = "a Unix time in seconds, for example 1796031400.5"

MUST_BE = "must_be"
"""The key in `Meta(extra={MUST_BE: …})` for a type's own description, which is used instead of the generated one."""


class InvalidValue(ValueError):
    """Raised for a text that cannot be parsed. The message says what the text must be, or what is wrong with it."""


class Value(NamedTuple):
    """How to parse one kind of value from a text. `must_be` describes the value in errors. `read` converts the text,
    and raises ValueError, KeyError or OverflowError for a text that it cannot convert. `schema` is the JSON Schema of
    the value.
    """

    must_be: str
    read: Callable[[str], Any]
    schema: Mapping[str, object] = {}

    def parse(self, text: str) -> Any:  # noqa: ANN401 - each value has its own type
        """Parse a text. Raises InvalidValue."""
        try:
            return self.read(text)
        except InvalidValue:
            raise
        except (ValueError, KeyError, OverflowError):
            raise InvalidValue(f"must be {self.must_be}") from None


def integer(minimum: int, maximum: int) -> Value:
    """Return the Value for an integer between two bounds, written in decimal digits without a sign."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not minimum <= int(text) <= maximum:
            raise ValueError(text)
        return int(text)

    must_be = f"{minimum} or {maximum}" if maximum - minimum == 1 else f"an integer between {minimum} and {maximum}"
    return Value(must_be, read, {"type": "integer", "minimum": minimum, "maximum": maximum})


def number(minimum: float, maximum: float) -> Value:
    def read(text: str) -> float:
        if not math.isfinite(float(text)) or not minimum <= float(text) <= maximum:
            raise ValueError(text)
        return float(text)

    schema = {"type": "number", "minimum": minimum, "maximum": maximum}
    return Value(f"a number between {_plain(minimum)} and {_plain(maximum)}", read, schema)


def unix_time() -> Value:
    bounds = number(0, 1e11)
    return bounds._replace(must_be=UNIX_TIME)


def printable(max_length: int) -> Value:
    def read(text: str) -> str:
        if not 1 <= len(text) <= max_length or "\0" in text or not text.isprintable():
            raise ValueError(text)
        return text

    schema = {"type": "string", "minLength": 1, "maxLength": max_length}
    return Value(f"1 to {max_length} printable characters", read, schema)


def any_text(max_length: int) -> Value:
    return Value(f"up to {max_length} characters", str, {"type": "string", "minLength": 1, "maxLength": max_length})


def matching(must_be: str, pattern: str) -> Value:
    """Return the Value for a text that matches a regular expression; `must_be` describes the expression in words."""
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not compiled.match(text):
            raise ValueError(text)
        return text

    return Value(must_be, read, {"type": "string", "pattern": pattern})


def one_of(words: type[StrEnum]) -> Value:
    """Return the Value that parses a text into a member of an enumeration. Case and surrounding spaces of the text are
    ignored, so the words of the enumeration itself must be in lower case.
    """
    return Value(f"one of {', '.join(words)}", lambda text: words(text.strip().casefold()), {"enum": list(words)})


def flag() -> Value:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    return Value("0 or 1", lambda text: words[text.lower()], {"type": "boolean"})


def optional(value: Value) -> Value:
    """Return a Value that also accepts the empty text, as None. It has no schema."""
    return Value(f"{value.must_be}, or empty", lambda text: value.read(text) if text else None)


def comma_separated(text: str) -> tuple[str, ...]:
    """Return the parts between the commas of a text, without surrounding spaces and without empty parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "…"?)` with the known word that is most similar to `word`. Return an empty string if no
    known word is similar.
    """
    nearest = get_close_matches(word, list(known), n=1)
    return f' (did you mean "{nearest[0]}"?)' if nearest else ""


def describe_type(annotation: object) -> str:
    """Return in words which JSON values a type accepts, for example "an integer between 0 and 100" or "one of rss,
    nitter".
    """
    return _describe(inspect.type_info(annotation))


def _describe(info: inspect.Type) -> str:  # noqa: PLR0911 - a table by type
    match info:
        case inspect.Metadata(type=inner, extra=extra):
            return str((extra or {}).get(MUST_BE) or _describe(inner))
        case inspect.IntType(ge=low, le=high):
            return f"an integer{_bounds(low, high)}"
        case inspect.FloatType(ge=low, le=high, gt=above, lt=below):
            return f"a number{_bounds(low, high, above, below)}"
        case inspect.StrType(min_length=shortest, max_length=longest):
            return f"a string{_lengths(shortest, longest, 'characters')}"
        case inspect.VarTupleType(max_length=longest) | inspect.ListType(max_length=longest):
            return f"a list{_lengths(None, longest, 'values')}"
        case inspect.EnumType(cls=words):
            return f"one of {', '.join(word.value for word in words)}"
        case inspect.UnionType(types=types):
            # null first: "null or one of rss, nitter" cannot be read as if null were in the list.
            ordered = sorted(types, key=lambda one: not isinstance(one, inspect.NoneType))
            return " or ".join(_describe(one) for one in ordered if not isinstance(one, inspect.CustomType))
        case _:
            return _SIMPLE.get(type(info), "another kind of value")


_SIMPLE: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.StructType: "an object",
    inspect.DictType: "an object",
    inspect.AnyType: "any JSON value",
}


def _bounds(low: float | None, high: float | None, above: float | None = None, below: float | None = None) -> str:
    if low is not None and high is not None:
        return f" between {_plain(low)} and {_plain(high)}"
    named = {"above": above, "at least": low, "below": below, "at most": high}
    words = " and ".join(f"{word} {_plain(bound)}" for word, bound in named.items() if bound is not None)
    return f" of {words}" if words.startswith("at") else f" {words}".rstrip()


def _lengths(shortest: int | None, longest: int | None, of: str) -> str:
    if longest is None:
        return "" if shortest is None else f" of at least {shortest} {of}"
    return f" of {shortest} to {longest} {of}" if shortest else f" of at most {longest} {of}"


def _plain(bound: float) -> str:
    """Write a bound without an exponent: 100000000000, not 1e+11."""
    return str(bound) if isinstance(bound, int) else f"{bound:.12g}"


def positive(annotation: object) -> Value:
    """Return the Value for a number above 0: an integer up to 2^53 if the annotated type is `int`, otherwise a finite
    float.
    """
    if isinstance(_unwrap(inspect.type_info(annotation)), inspect.IntType):
        return integer(1, 2**53)._replace(must_be="an integer of at least 1")

    def read(text: str) -> float:
        if not 0 < float(text) < math.inf:
            raise ValueError(text)
        return float(text)

    return Value("a number above 0", read)


def _unwrap(info: inspect.Type) -> inspect.Type:
    return _unwrap(info.type) if isinstance(info, inspect.Metadata) else info
