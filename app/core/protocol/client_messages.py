"""Define the messages that a client may send, and parse them from JSON text."""

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
# In characters. An ack with all of its fields has at most 175, and more only if it is padded.
_MAX_ACK_LENGTH = 256


RequestId = Annotated[str, Meta(max_length=MAX_ID)] | int | None
ChannelName = Annotated[str, Meta(pattern=CHANNEL_NAME, extra={MUST_BE: CHANNEL_CHARACTERS})]
Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a `pong`, which returns `t` and `id` unchanged. `t` is a number, a string or null."""

    id: RequestId = None
    t: int | float | str | None = None


class _Echoed(msgspec.Struct, frozen=True):
    """The part of a `ping` that is returned as it is written."""

    t: msgspec.Raw


class Echo(msgspec.Struct, frozen=True):
    """A `ping` after parsing. `t` is the JSON text of the key, byte for byte: a client may compare it."""

    id: RequestId = None
    t: msgspec.Raw | None = None


class From(msgspec.Struct, frozen=True):
    """The point in the log from which a `subscribe` message asks for earlier items of its channel. Exactly one field is
    required. `seq`: items after this seq. `time`: items accepted at this time (Unix seconds) or later. `last`: this
    number of the newest matching items, at most the limit `replays.max_last_items`.
    """

    seq: Seq | UnsetType = UNSET
    time: Annotated[float, Meta(ge=0, le=1e11, extra={MUST_BE: UNIX_TIME})] | UnsetType = UNSET
    last: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class SubscribeMessage(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Sets the filter of a channel of this connection, and adds the channel if the connection does not have it. Without
    `filters`, the channel uses the filter that is stored for the user. With an `id`, the answer is `subscribed`.

    With `persist` (the default) the filter is also stored for the user, and applies to all of the user's connections
    that track the stored filter of this channel. Without `persist` it applies to this connection only. With `since`,
    the channel's matching items from the log are sent before new ones.
    """

    id: RequestId = None
    channel: ChannelName = DEFAULT_CHANNEL
    filters: Filter | UnsetType = UNSET
    persist: bool = True
    since: From | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    """Removes a channel from this connection; with `forget`, also deletes the filter that is stored for the user under
    this channel. With an `id`, the answer is `unsubscribed`.
    """

    channel: ChannelName
    id: RequestId = None
    forget: bool = False


class List(msgspec.Struct, frozen=True, tag_field="type", tag="list"):
    """Asks for the channels of this connection. The answer is `subscriptions`."""

    id: RequestId = None


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """Acknowledges every item up to and including `seq`, on a connection with `ack=1`. With an `id`, the answer is
    `acked`. `received_at` is accepted but ignored.
    """

    seq: Seq
    id: RequestId = None
    received_at: float | None = None


_ACK_DECODER = msgspec.json.Decoder(Ack)
_ECHO_DECODER = msgspec.json.Decoder(_Echoed)


class Explain(msgspec.Struct, frozen=True, tag_field="type", tag="explain"):
    """Asks why this connection did or did not get the item with the id `item`. The answer is `explanation`."""

    item: Annotated[str, Meta(min_length=1, max_length=128)]
    id: RequestId = None


class Refresh(msgspec.Struct, frozen=True, tag_field="type", tag="refresh"):
    """Sends a newer token of the same user, which replaces the connection's token. The answer is `refreshed`. Without a
    newer token, the connection is closed after its token expires.
    """

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
    id: RequestId = None


class Auth(msgspec.Struct, frozen=True, tag_field="type", tag="auth"):
    """Sends the client's token as the first message on a connection that was opened without one; the answer is
    `welcome`. Any later `auth` is handled like `refresh`.
    """

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
    id: RequestId = None


class Subscribe(msgspec.Struct, frozen=True):
    """A `subscribe` message after parsing. `parsed` is None if the message has no `filters`: then the channel uses the
    filter that is stored for the user. `warnings` names each unknown key of the message and of its filters.
    """

    id: RequestId
    channel: str
    parsed: ParsedFilter | None
    persist: bool
    since: ResumeRequest | None
    warnings: tuple[FieldError, ...] = ()


Message = Echo | Subscribe | Unsubscribe | List | Ack | Explain | Refresh | Auth

_SIMPLE: dict[str, type[Unsubscribe | List | Ack | Explain | Refresh | Auth]] = {
    "unsubscribe": Unsubscribe,
    "list": List,
    "ack": Ack,
    "explain": Explain,
    "refresh": Refresh,
    "auth": Auth,
}
_TYPES = ("ping", "subscribe", "unsubscribe", "list", "ack", "explain", "refresh", "auth")


class InvalidMessage(Exception):
    """Raised for a message that cannot be parsed. `error` is what the client is told. `request_id` is the message's
    `id`, or None if the message could not be decoded or has no valid `id`.
    """

    def __init__(self, error: NewsError, request_id: str | int | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.request_id = request_id


def acknowledged_seq(text: str) -> int | None:
    """Return the seq of an `ack` message without parsing it in full; None if the text is too long or is something else.

    The dispatcher calls this for every message of a client that uses acks, before it meters the message.
    """
    if len(text) > _MAX_ACK_LENGTH:
        return None
    try:
        return _ACK_DECODER.decode(text).seq
    # MsgspecError: the text is not JSON or not an ack. ValueError: it has a lone surrogate, which cannot be encoded.
    # RecursionError: its arrays are nested too deeply.
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def decode(text: str) -> Message:
    """Parse a client's message. Raises InvalidMessage."""
    request_id: str | int | None = None
    text = text.removeprefix("\ufeff")
    try:
        document = decode_object(text.encode(), ErrorCode.INVALID_MESSAGE)
        request_id = _request_id(document)
        return _parse(document, text)
    except NewsError as error:
        raise InvalidMessage(error, request_id) from None


def _parse(document: Mapping[str, object], text: str) -> Message:
    kind = document.get("type")
    if not isinstance(kind, str):
        raise ClientError(
            ErrorCode.INVALID_MESSAGE,
            "Invalid message",
            fields=(FieldError("/type", "is required and must be a string"),),
        )
    if kind == "subscribe":
        return _parse_subscribe(document)
    if kind == "ping":
        ping = _convert(document, Ping)
        return Echo(ping.id, None if ping.t is None else _ECHO_DECODER.decode(text).t)
    if kind in _SIMPLE:
        return _convert(document, _SIMPLE[kind])
    raise ClientError(
        ErrorCode.UNKNOWN_TYPE,
        "Unknown message type",
        fields=(FieldError("/type", f"must be one of {', '.join(_TYPES)}{did_you_mean(kind[:64], _TYPES)}"),),
    )


def _parse_subscribe(document: Mapping[str, object]) -> Subscribe:
    # The filter is parsed separately, because its errors have a code of their own: INVALID_FILTER. Errors in the other
    # fields have the code INVALID_MESSAGE.
    head = _convert({key: value for key, value in document.items() if key != "filters"}, SubscribeMessage)
    since = None if head.since is None else _parse_since(head.since)
    ignored = tuple(bad for bad in fields.unknown_keys(document, SubscribeMessage) if bad.pointer != "/type")
    if "filters" not in document:
        return Subscribe(head.id, head.channel, None, head.persist, since, ignored)
    filters = document["filters"]
    if not isinstance(filters, dict):
        raise ClientError(
            ErrorCode.INVALID_FILTER, "Invalid filters", fields=(FieldError("/filters", "must be an object"),)
        )
    parsed = parse_filter(filters, "/filters")
    return Subscribe(head.id, head.channel, parsed, head.persist, since, parsed.warnings + ignored)


def _parse_since(since: From) -> ResumeRequest:
    """Return the start that the field `since` of a `subscribe` message asks for. Raises ClientError(INVALID_MESSAGE)
    unless `since` has exactly one of seq, time and last.
    """
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
