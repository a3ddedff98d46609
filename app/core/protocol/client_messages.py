"""What a client may say on the socket. This file owns the inbound messages and how a text becomes one of them."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.core.delivery.positions import ResumeAfter, ResumeLast, ResumeRequest, ResumeSince
from app.core.errors import ClientError, ErrorCode, FieldError, NewsError
from app.core.filters.filter import CHANNEL_NAME, DEFAULT_CHANNEL, Filter, ParsedFilter, parse_filter
from app.core.validation import fields
from app.core.validation.strict_json import decode_object

MAX_ID = 64
MAX_TOKEN = 8 * 1024
MAX_SEQ = 2**53
MAX_LAST_ITEMS = 1_000

RequestId = Annotated[str, Meta(max_length=MAX_ID)] | int | None
ChannelName = Annotated[str, Meta(pattern=CHANNEL_NAME)]
Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a pong; `t` comes back unchanged."""

    id: RequestId = None
    t: float | str | None = None


class From(msgspec.Struct, frozen=True):
    """Where a channel's past begins: behind a seq, at a time (Unix seconds), or so many matching items back."""

    seq: Seq | UnsetType = UNSET
    time: Annotated[float, Meta(ge=0, le=1e11)] | UnsetType = UNSET
    last: Annotated[int, Meta(ge=1, le=MAX_LAST_ITEMS)] | UnsetType = UNSET


class SubscribeMessage(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Gives a channel a filter, in place of the one before; without filters, the user's stored one.

    With `persist` (the default) it is stored for the user; otherwise it is this connection's alone. `since` sends the
    channel's past first.
    """

    id: RequestId = None
    channel: ChannelName = DEFAULT_CHANNEL
    filters: Filter | UnsetType = UNSET
    persist: bool = True
    since: From | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    """Takes a channel from this connection; with `forget`, from what is stored for the user too."""

    channel: ChannelName
    id: RequestId = None
    forget: bool = False


class List(msgspec.Struct, frozen=True, tag_field="type", tag="list"):
    """Asks for this connection's channels."""

    id: RequestId = None


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """Says that everything up to `seq` was received."""

    seq: Seq
    id: RequestId = None
    received_at: float | None = None


class Explain(msgspec.Struct, frozen=True, tag_field="type", tag="explain"):
    """Asks why this connection did or did not get an item."""

    item: Annotated[str, Meta(min_length=1, max_length=128)]
    id: RequestId = None


class Refresh(msgspec.Struct, frozen=True, tag_field="type", tag="refresh"):
    """Brings a newer token of the same user, so that the connection may stay."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
    id: RequestId = None


class Auth(msgspec.Struct, frozen=True, tag_field="type", tag="auth"):
    """Says who the client is, as its first message where the upgrade brought no token; later it is a `refresh`."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
    id: RequestId = None


class Subscribe(msgspec.Struct, frozen=True):
    """A subscribe message whose filter is checked; `checked` is None where the stored one is asked for."""

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
_WORDS = "ping, subscribe, unsubscribe, list, ack, explain, refresh or auth"


class InvalidMessage(Exception):
    """A message that is not understood: the error to answer, with the request's id where it could be read."""

    def __init__(self, error: NewsError, request_id: str | int | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.request_id = request_id


def decode(text: str) -> Message:
    """Read a client's message. Raises Refused."""
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
            ErrorCode.INVALID_MESSAGE, "Invalid message", fields=(FieldError("/type", "required, a string"),)
        )
    if kind == "subscribe":
        return _parse_subscribe(document)
    if kind in _SIMPLE:
        return _convert(document, _SIMPLE[kind])
    raise ClientError(ErrorCode.UNKNOWN_TYPE, "Unknown message type", fields=(FieldError("/type", f"want {_WORDS}"),))


def _parse_subscribe(document: Mapping[str, object]) -> Subscribe:
    # The filter has its own check, which names every bad field under its own code.
    head = _convert({key: value for key, value in document.items() if key != "filters"}, SubscribeMessage)
    since = None if head.since is None else _parse_since(head.since)
    if "filters" not in document:
        return Subscribe(head.id, head.channel, None, head.persist, since)
    filters = document["filters"]
    if not isinstance(filters, dict):
        raise ClientError(
            ErrorCode.INVALID_FILTER, "Invalid filters", fields=(FieldError("/filters", "want an object"),)
        )
    checked = parse_filter(filters, "/filters")
    ignored = tuple(bad for bad in fields.unknown_keys(document, SubscribeMessage) if bad.pointer != "/type")
    checked = checked._replace(warnings=checked.warnings + ignored)
    return Subscribe(head.id, head.channel, checked, head.persist, since)


def _parse_since(since: From) -> ResumeRequest:
    """Read where a channel's past begins. Raises Theirs unless exactly one place is named."""
    given: list[ResumeRequest] = []
    if since.seq is not UNSET:
        given.append(ResumeAfter(since.seq))
    if since.time is not UNSET:
        given.append(ResumeSince(since.time))
    if since.last is not UNSET:
        given.append(ResumeLast(since.last))
    if len(given) != 1:
        where = (FieldError("/since", "want exactly one of seq, time, last"),)
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
