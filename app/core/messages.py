"""What a client may say on the socket. This file owns the inbound messages and how a text becomes one of them."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from app.core import fields
from app.core.errors import Code, FieldError, NewsError, Theirs
from app.core.strict_json import decode_object
from app.core.subscription import DEFAULT_CHANNEL, Checked, parse_filter

MAX_ID = 64
RequestId = Annotated[str, Meta(max_length=MAX_ID)] | int | None


class Ping(msgspec.Struct, frozen=True):
    """Asks for a pong; `t` comes back unchanged."""

    id: RequestId = None
    t: float | str | None = None


class SubscribeFields(msgspec.Struct, frozen=True):
    """The keys of a subscribe message beside its filters."""

    id: RequestId = None
    channel: str = DEFAULT_CHANNEL


class SubscribeKeys(msgspec.Struct, frozen=True):
    """Every key that a subscribe message is read for."""

    type: str
    id: RequestId
    channel: str
    filters: object


class Subscribe(msgspec.Struct, frozen=True):
    """Stores the user's filter and applies it at once; without filters, the stored one is looked up again."""

    id: RequestId
    checked: Checked | None


class Explain(msgspec.Struct, frozen=True):
    """Asks why this connection did or did not get an item."""

    item: Annotated[str, Meta(min_length=1, max_length=128)]
    id: RequestId = None


Message = Ping | Subscribe | Explain


class Refused(Exception):
    """A message that is not understood: the error to answer, with the request's id where it could be read."""

    def __init__(self, error: NewsError, request_id: str | int | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.request_id = request_id


def decode(text: str) -> Message:
    """Read a client's message. Raises Refused."""
    request_id: str | int | None = None
    try:
        document = decode_object(text.encode(), Code.INVALID_MESSAGE)
        request_id = _request_id(document)
        return _read(document)
    except NewsError as error:
        raise Refused(error, request_id) from None


def _read(document: Mapping[str, object]) -> Message:
    kind = document.get("type")
    if not isinstance(kind, str):
        raise Theirs(Code.INVALID_MESSAGE, "Invalid message", fields=(FieldError("/type", "required, a string"),))
    if kind == "ping":
        return _convert(document, Ping)
    if kind == "subscribe":
        return _read_subscribe(document)
    if kind == "explain":
        return _convert(document, Explain)
    raise Theirs(
        Code.UNKNOWN_TYPE, "Unknown message type", fields=(FieldError("/type", "want ping, subscribe or explain"),)
    )


def _read_subscribe(document: Mapping[str, object]) -> Subscribe:
    head = _convert(document, SubscribeFields)
    if head.channel != DEFAULT_CHANNEL:
        raise Theirs(
            Code.UNKNOWN_CHANNEL, "Unknown channel", fields=(FieldError("/channel", f"want {DEFAULT_CHANNEL!r}"),)
        )
    if "filters" not in document:
        return Subscribe(head.id, None)
    filters = document["filters"]
    if not isinstance(filters, dict):
        raise Theirs(Code.INVALID_FILTER, "Invalid filters", fields=(FieldError("/filters", "want an object"),))
    checked = parse_filter(filters, "/filters")
    ignored = fields.unknown_keys(document, SubscribeKeys)
    return Subscribe(head.id, checked._replace(warnings=checked.warnings + ignored))


def _convert(document: Mapping[str, object], model: type[fields.Model]) -> fields.Model:
    try:
        return fields.convert(document, model)
    except fields.BadFields as error:
        raise Theirs(Code.INVALID_MESSAGE, "Invalid message", fields=error.errors) from None


def _request_id(document: Mapping[str, object]) -> str | int | None:
    given = document.get("id")
    if isinstance(given, str):
        return given if len(given) <= MAX_ID else None
    return given if isinstance(given, int) and not isinstance(given, bool) else None
