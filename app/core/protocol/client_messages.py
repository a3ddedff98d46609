"""The messages that a client may send, and how a text becomes one of them."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.core.delivery.positions import ResumeAfter, ResumeLast, ResumeRequest, ResumeSince
from app.core.errors import ClientError, ErrorCode, FieldError, NewsError
from app.core.filters.filter import (
    CHANNEL_CHARACTERS,
    CHANNEL_NAME,
    DEFAULT_CHANNEL,
    Filter,
    ParsedFilter,
    parse_filter,
)
from app.core.validation import fields
from app.core.validation.strict_json import decode_object
from app.core.validation.values import MUST_BE, UNIX_TIME, did_you_mean

MAX_ID = 64
MAX_TOKEN = 8 * 1024
MAX_SEQ = 2**53


RequestId = Annotated[str, Meta(max_length=MAX_ID)] | int | None
ChannelName = Annotated[str, Meta(pattern=CHANNEL_NAME, extra={MUST_BE: CHANNEL_CHARACTERS})]
Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a pong; `t` is returned unchanged."""

    id: RequestId = None
    t: float | str | None = None


class From(msgspec.Struct, frozen=True):
    """Where the past of a channel begins: after a seq, at a time (Unix seconds), or with the last N matching items, at
    most the limit `replays.max_last_items`.
    """

    seq: Seq | UnsetType = UNSET
    time: Annotated[float, Meta(ge=0, le=1e11, extra={MUST_BE: UNIX_TIME})] | UnsetType = UNSET
    last: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class SubscribeMessage(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Sets the filter of a channel, replacing the one before; without `filters`, the user's stored one.

    With `persist` (the default) the filter is stored for the user; otherwise it belongs to this connection only.
    `since` sends the channel's past first.
    """

    id: RequestId = None
    channel: ChannelName = DEFAULT_CHANNEL
    filters: Filter | UnsetType = UNSET
    persist: bool = True
    since: From | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    """Removes a channel from this connection; with `forget`, also from what is stored for the user."""

    channel: ChannelName
    id: RequestId = None
    forget: bool = False


class List(msgspec.Struct, frozen=True, tag_field="type", tag="list"):
    """Asks for this connection's channels."""

    id: RequestId = None


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """Acknowledges everything up to `seq`."""

    seq: Seq
    id: RequestId = None
    received_at: float | None = None


class Explain(msgspec.Struct, frozen=True, tag_field="type", tag="explain"):
    """Asks why this connection did or did not get an item."""

    item: Annotated[str, Meta(min_length=1, max_length=128)]
    id: RequestId = None


class Refresh(msgspec.Struct, frozen=True, tag_field="type", tag="refresh"):
    """Provides a newer token of the same user, so that the connection may stay open."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
    id: RequestId = None


class Auth(msgspec.Struct, frozen=True, tag_field="type", tag="auth"):
    """Provides the client's token, as the first message after an upgrade without one; later it is a `refresh`."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
    id: RequestId = None


class Subscribe(msgspec.Struct, frozen=True):
    """A subscribe message with its filter parsed; `parsed` is None to use the stored filter."""

    id: RequestId
    channel: str
    parsed: ParsedFilter | None
    persist: bool
    since: ResumeRequest | None


Message = Ping | Subscribe | Unsubscribe | List | Ack | Explain | Refresh | Auth

_SIMPLE: dict[str, type[Ping | Unsubscribe | List | Ack | Explain | Refresh | Auth]] = {
    "ping": Ping,
    "unsubscribe": Unsubscribe,
    "list": List,
    "ack": Ack,
    "explain": Explain,
    "refresh": Refresh,
    "auth": Auth,
}
_TYPES = ("ping", "subscribe", "unsubscribe", "list", "ack", "explain", "refresh", "auth")


class InvalidMessage(Exception):
    """A message that cannot be processed: the error to answer with, and the request's id if it could be read."""

    def __init__(self, error: NewsError, request_id: str | int | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.request_id = request_id


def decode(text: str) -> Message:
    """Parse a client's message. Raises InvalidMessage."""
    request_id: str | int | None = None
    try:
        document = decode_object(text.encode(), ErrorCode.INVALID_MESSAGE)
        request_id = _request_id(document)
        return _parse(document)
    except NewsError as error:
        raise InvalidMessage(error, request_id) from None


def _parse(document: Mapping[str, object]) -> Message:
    kind = document.get("type")
    if not isinstance(kind, str):
        raise ClientError(
            ErrorCode.INVALID_MESSAGE,
            "Invalid message",
            fields=(FieldError("/type", "is required and must be a string"),),
        )
    if kind == "subscribe":
        return _parse_subscribe(document)
    if kind in _SIMPLE:
        return _convert(document, _SIMPLE[kind])
    raise ClientError(
        ErrorCode.UNKNOWN_TYPE,
        "Unknown message type",
        fields=(FieldError("/type", f"must be one of {', '.join(_TYPES)}{did_you_mean(kind[:64], _TYPES)}"),),
    )


def _parse_subscribe(document: Mapping[str, object]) -> Subscribe:
    # The filter is checked by itself: each of its wrong fields is named under its own code.
    head = _convert({key: value for key, value in document.items() if key != "filters"}, SubscribeMessage)
    since = None if head.since is None else _parse_since(head.since)
    if "filters" not in document:
        return Subscribe(head.id, head.channel, None, head.persist, since)
    filters = document["filters"]
    if not isinstance(filters, dict):
        raise ClientError(
            ErrorCode.INVALID_FILTER, "Invalid filters", fields=(FieldError("/filters", "must be an object"),)
        )
    parsed = parse_filter(filters, "/filters")
    ignored = tuple(bad for bad in fields.unknown_keys(document, SubscribeMessage) if bad.pointer != "/type")
    parsed = parsed._replace(warnings=parsed.warnings + ignored)
    return Subscribe(head.id, head.channel, parsed, head.persist, since)


def _parse_since(since: From) -> ResumeRequest:
    """Parse where a channel's past begins. Raises ClientError unless exactly one place is given."""
    given: list[ResumeRequest] = []
    if since.seq is not UNSET:
        given.append(ResumeAfter(since.seq))
    if since.time is not UNSET:
        given.append(ResumeSince(since.time))
    if since.last is not UNSET:
        given.append(ResumeLast(since.last))
    if len(given) != 1:
        where = (FieldError("/since", "must have exactly one of seq, time, last"),)
        raise ClientError(ErrorCode.INVALID_MESSAGE, "Invalid message", fields=where)
    return given[0]


def _convert(document: Mapping[str, object], model: type[fields.Model]) -> fields.Model:
    try:
        return fields.convert(document, model)
    except fields.InvalidFields as error:
        raise ClientError(ErrorCode.INVALID_MESSAGE, "Invalid message", fields=error.errors) from None


def _request_id(document: Mapping[str, Any]) -> str | int | None:
    given = document.get("id")
    if isinstance(given, str):
        return given if len(given) <= MAX_ID else None
    return given if isinstance(given, int) and not isinstance(given, bool) else None
