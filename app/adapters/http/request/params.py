"""Query parameters. This file owns how they are read, and that every bad one is named in one answer."""

import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from multidict import MultiDict, MultiMapping

from app.core.access.identity import DEVICE_ID, USER_ID
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.news.item import Category, Source
from app.ports.log import NewsQuery

_MAX_SEQ = 2**53


class Param(NamedTuple):
    """What is wanted, how a text becomes it (ValueError when it cannot), and the same as a JSON Schema."""

    must_be: str
    parse: Callable[[str], Any]
    schema: Mapping[str, object]


def whole(least: int, most: int) -> Param:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return Param(f"a whole number from {least} to {most}", read, {"type": "integer", "minimum": least, "maximum": most})


def number(least: float, most: float) -> Param:
    def read(text: str) -> float:
        if not math.isfinite(float(text)) or not least <= float(text) <= most:
            raise ValueError(text)
        return float(text)

    schema = {"type": "number", "minimum": least, "maximum": most}
    return Param(f"a number from {least:g} to {most:g}", read, schema)


def name(most: int) -> Param:
    def read(text: str) -> str:
        if not 1 <= len(text) <= most or "\0" in text or not text.isprintable():
            raise ValueError(text)
        return text

    schema = {"type": "string", "minLength": 1, "maxLength": most}
    return Param(f"1 to {most} printable characters", read, schema)


def one_of(words: type[StrEnum]) -> Param:
    wanted = "one of " + ", ".join(words)
    return Param(wanted, lambda text: words(text.strip().casefold()).value, {"enum": list(words)})


def matching(wanted: str, pattern: str) -> Param:
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not compiled.match(text):
            raise ValueError(text)
        return text

    return Param(wanted, read, {"type": "string", "pattern": pattern})


def anything(most: int) -> Param:
    return Param(f"up to {most} characters", str, {"type": "string", "minLength": 1, "maxLength": most})


class State(StrEnum):
    """Whether a connection is there."""

    OPEN = "open"
    CLOSED = "closed"


state = one_of(State)
user_id = matching("1 to 128 of A-Z a-z 0-9 _ . : @ -", USER_ID)
device_id = matching("1 to 64 of A-Z a-z 0-9 _ . : @ -", DEVICE_ID)
item_id = anything(128)
connection_id = anything(64)


def read_parameters(query: MultiMapping[str], readers: Mapping[str, Param]) -> dict[str, Any]:
    """Read the parameters that are there; others are ignored. Raises Theirs(INVALID_PARAMETER) with every bad one."""
    values: dict[str, Any] = {}
    errors = []
    for key, (wanted, read, _schema) in readers.items():
        given = query.getall(key, [])
        if len(given) > 1:
            errors.append(FieldError(key, "want it once"))
        if len(given) != 1:
            continue
        try:
            values[key] = read(given[0])
        except (ValueError, OverflowError):
            errors.append(FieldError(key, f"want {wanted}"))
    if errors:
        raise ClientError(ErrorCode.INVALID_PARAMETER, "Invalid query parameters", fields=tuple(errors))
    return values


def require_user_id(given: Mapping[str, Any]) -> str:
    """Give the user of parameters that were read. Raises Theirs where they name none."""
    if "user_id" not in given:
        raise ClientError(
            ErrorCode.INVALID_PARAMETER, "user_id is required", fields=(FieldError("user_id", "required"),)
        )
    return str(given["user_id"])


def check_user_id(text: str) -> str:
    """Check a user id that stands in a path. Raises Theirs(INVALID_PARAMETER)."""
    return str(read_parameters(MultiDict(user_id=text), {"user_id": user_id})["user_id"])


def news_readers(most_items: int) -> dict[str, Param]:
    """Give the parameters of GET /api/v1/news."""
    score, moment, seq = number(0, 100), number(0, 1e11), whole(0, _MAX_SEQ)
    return {
        "limit": whole(1, most_items),
        "offset": whole(0, 1_000_000),
        "category": one_of(Category),
        "min_impact": score,
        "min_score": score,
        "source": one_of(Source),
        "ticker": name(32),
        "person": name(64),
        "start_time": moment,
        "end_time": moment,
        "after_seq": seq,
        "before_seq": seq,
        "user_id": user_id,
    }


def read_news_query(query: MultiMapping[str], most_items: int) -> tuple[NewsQuery, str | None]:
    """Read what GET /api/v1/news asks for, and as which user. Raises Theirs(INVALID_PARAMETER)."""
    values = read_parameters(query, news_readers(most_items))
    as_user = values.pop("user_id", None)
    # The original's code calls it min_score, its documentation min_impact.
    min_score = values.pop("min_score", None)
    if min_score is not None:
        values.setdefault("min_impact", min_score)
    if "ticker" in values:
        values["ticker"] = values["ticker"].lstrip("$")
    return NewsQuery(**values), as_user
