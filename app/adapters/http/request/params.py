"""Parse query parameters. One error names every parameter that is wrong."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from multidict import MultiDict, MultiMapping

from app.core.access.identity import DEVICE_ID, USER_ID, USER_ID_MUST_BE, is_user_id
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.news.item import Category, Source
from app.core.validation.fields import MAX_ERRORS
from app.core.validation.values import (
    InvalidValue,
    Value,
    any_text,
    did_you_mean,
    integer,
    matching,
    number,
    one_of,
    printable,
    unix_time,
)
from app.ports.log import NewsQuery

_MAX_SEQ = 2**53


class ConnectionState(StrEnum):
    """The values of the query parameter `state` of GET /api/v1/connections."""

    OPEN = "open"
    CLOSED = "closed"


def user_id() -> Value:
    """Return the Value for a user id."""

    def read(text: str) -> str:
        if not is_user_id(text):
            raise ValueError(text)
        return text

    return Value(USER_ID_MUST_BE, read, {"type": "string", "pattern": USER_ID})


STATE = one_of(ConnectionState)
USER = user_id()
DEVICE = matching("1 to 64 of the characters A-Z a-z 0-9 _ . : @ -", DEVICE_ID)
ITEM = any_text(128)
CONNECTION = any_text(64)


def read_params(query: MultiMapping[str], params: Mapping[str, Value]) -> dict[str, Any]:
    """Parse the query parameters that `params` declares, and return their values by name. Missing parameters are left
    out, and parameters that are not declared are ignored.

    Raises ClientError(INVALID_PARAMETER) naming every parameter that is repeated or has a wrong value.
    """
    values: dict[str, Any] = {}
    errors = []
    for name, value in params.items():
        texts = query.getall(name, [])
        if len(texts) > 1:
            errors.append(FieldError(name, "must not be repeated"))
        if len(texts) != 1:
            continue
        try:
            values[name] = value.parse(texts[0])
        except InvalidValue as error:
            errors.append(FieldError(name, str(error)))
    if errors:
        raise ClientError(ErrorCode.INVALID_PARAMETER, "Invalid query parameters", fields=tuple(errors))
    return values


def refuse_unknown_params(query: MultiMapping[str], known: Iterable[str]) -> None:
    """Raise ClientError(INVALID_PARAMETER) that names every query parameter that is not known: a misspelled one would
    be ignored, and the caller would get what it did not ask for. `_` is ignored: pages add it to get past caches.
    """
    names = tuple(known)
    unknown = [name for name in dict.fromkeys(query) if name not in (*names, "_")][:MAX_ERRORS]
    if unknown:
        allowed = f"must be one of {', '.join(names)}" if names else "must be absent: this call has no parameters"
        errors = (FieldError(name[:64], f"{allowed}{did_you_mean(name[:64], names)}") for name in unknown)
        raise ClientError(ErrorCode.INVALID_PARAMETER, "Unknown query parameters", fields=tuple(errors))


def require_user(values: Mapping[str, Any]) -> str:
    """Return `user_id` from parsed parameters. Raises ClientError(INVALID_PARAMETER) if it is missing."""
    if "user_id" not in values:
        where = (FieldError("user_id", "is required"),)
        raise ClientError(ErrorCode.INVALID_PARAMETER, "user_id is required", fields=where)
    return str(values["user_id"])


def check_user_id(text: str) -> str:
    """Return a user id that was in a URL path. Raises ClientError(INVALID_PARAMETER) if it is not a valid id."""
    return str(read_params(MultiDict(user_id=text), {"user_id": USER})["user_id"])


def news_params(max_page_items: int) -> dict[str, Value]:
    """Return the query parameters that GET /api/v1/news accepts, by name."""
    score, moment, seq = number(0, 100), unix_time(), integer(0, _MAX_SEQ)
    return {
        "limit": integer(1, max_page_items),
        "offset": integer(0, 1_000_000),
        "category": one_of(Category),
        "min_impact": score,
        "min_score": score,
        "source": one_of(Source),
        "ticker": printable(32),
        "person": printable(64),
        "start_time": moment,
        "end_time": moment,
        "after_seq": seq,
        "before_seq": seq,
        "head": seq,
        "user_id": USER,
    }


def read_news_query(query: MultiMapping[str], max_page_items: int) -> tuple[NewsQuery, str | None]:
    """Parse the query of GET /api/v1/news. Return what to select from the log, and the user whose stored filter is also
    applied (None if the query names no user).

    Raises ClientError(INVALID_PARAMETER).
    """
    values = read_params(query, news_params(max_page_items))
    values["up_to_seq"] = values.pop("head", None)
    as_user = values.pop("user_id", None)
    # The original FastAPI service that this one replaces reads `min_score`, but its documentation says `min_impact`.
    # Both are accepted; if both are given, `min_impact` counts.
    min_score = values.pop("min_score", None)
    if min_score is not None:
        values.setdefault("min_impact", min_score)
    if "ticker" in values:
        values["ticker"] = values["ticker"].lstrip("$")
    return NewsQuery(**values), as_user
