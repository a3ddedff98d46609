"""What an upgrade request asks for. This file owns the reading of its query, its subprotocols and its extensions."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from aiohttp import hdrs, web

from app.adapters.http.request.params import Param, device_id, number, read_parameters, require_user_id, user_id, whole
from app.core.access.identity import Identity
from app.core.delivery.positions import POSITION, ResumeLast, ResumeRequest, ResumeSince, parse_position
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.filters.filter import CHANNEL_NAME, DEFAULT_CHANNEL, Filter, parse_filter
from app.core.protocol.client_messages import MAX_LAST_ITEMS
from app.core.protocol.deflate import UNCOMPRESSED, NegotiatedDeflate, negotiate
from app.core.validation.strict_json import decode_object
from app.flows.connections.connect import ConnectRequest
from app.flows.delivery.session import Channel

SUBPROTOCOL = "news.v2.json"
RESUME_KEYS = ("resume", "since", "last")

_CHANNEL = re.compile(CHANNEL_NAME)


def read_opening(request: web.Request, most_channels: int, identity: Identity) -> ConnectRequest:
    """Read what a client wants. Raises Theirs(INVALID_PARAMETER, INVALID_JSON, INVALID_FILTER, FORBIDDEN)."""
    most_channels = identity.entitled.max_channels_within(most_channels)
    given = read_parameters(request.query, opening_readers(most_channels))
    wants_acks = given.get("ack", 0) == 1
    agreement = agreed_extension(request)
    return ConnectRequest(
        user_id=identity.resolve_user(given.get("user_id")) or require_user_id(given),
        # Acks need a device; who names none has one without a name.
        device_id=given.get("device_id", "" if wants_acks else None),
        channels=_channels(request, given.get("channels", (DEFAULT_CHANNEL,)), most_channels),
        asked=_asked(given),
        is_required=given.get("resume_required", 0) == 1,
        wants_acks=wants_acks,
        is_v2=speaks_v2(request),
        expires_at=identity.expires_at,
        entitled=identity.entitled,
        window_bits=agreement.window_bits if agreement is not None else UNCOMPRESSED,
    )


def chosen_subprotocol(request: web.Request) -> str | None:
    """Choose among the subprotocols that a client offers (RFC 6455 section 11.3.4); they are case-sensitive."""
    return SUBPROTOCOL if SUBPROTOCOL in offered_subprotocols(request) else None


def speaks_v2(request: web.Request) -> bool:
    """Say whether a client asks for v2, before its query is checked."""
    return request.query.get("v") == "2" or chosen_subprotocol(request) is not None


def offered_subprotocols(request: web.Request) -> list[str]:
    """Give the subprotocols that a client offers, in its order."""
    lines = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name.strip() for line in lines for name in line.split(",")]


def agreed_extension(request: web.Request) -> NegotiatedDeflate | None:
    """Choose how payloads are compressed, among what a client offers."""
    return negotiate(request.headers.getall(hdrs.SEC_WEBSOCKET_EXTENSIONS, []))


def chosen_headers(request: web.Request) -> dict[str, str]:
    """Give the headers of the answer that say what was chosen."""
    subprotocol, agreement = chosen_subprotocol(request), agreed_extension(request)
    protocol = {"Sec-WebSocket-Protocol": subprotocol} if subprotocol is not None else {}
    return protocol | ({"Sec-WebSocket-Extensions": agreement.response_header} if agreement is not None else {})


@cache
def opening_readers(most_channels: int) -> Mapping[str, Param]:
    """Give the parameters of GET /ws/news beside `filters`."""
    return {
        "user_id": user_id,
        "device_id": device_id,
        "resume": Param("<epoch>:<seq>", parse_position, {"type": "string", "pattern": POSITION}),
        "since": number(0, 1e11),
        "last": whole(1, MAX_LAST_ITEMS),
        "resume_required": whole(0, 1),
        "ack": whole(0, 1),
        "v": whole(1, 2),
        "channels": _names(most_channels),
    }


def _names(most: int) -> Param:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(filter(None, text.split(","))))
        if len(names) > most or not all(map(_CHANNEL.match, names)):
            raise ValueError(text)
        return names

    return Param(f"at most {most} names of A-Z a-z 0-9 _ . : @ -", read, {"type": "string"})


def _asked(given: Mapping[str, Any]) -> ResumeRequest | None:
    """Give the one place that a client wants to begin at."""
    named = [key for key in RESUME_KEYS if key in given]
    if len(named) > 1:
        errors = tuple(FieldError(key, "want only one of resume, since, last") for key in named)
        raise ClientError(ErrorCode.INVALID_PARAMETER, "Invalid query parameters", fields=errors)
    if "since" in given:
        return ResumeSince(given["since"])
    if "last" in given:
        return ResumeLast(given["last"])
    return given.get("resume")


def _channels(request: web.Request, names: tuple[str, ...], most: int) -> tuple[Channel, ...]:
    """Give the channels of a connection; a filter in the URL is that of `default`, for this connection alone.

    Raises Theirs(INVALID_PARAMETER, INVALID_JSON, INVALID_FILTER).
    """
    if "filters" not in request.query:
        return tuple(map(Channel, names))
    own = Channel(DEFAULT_CHANNEL, _filter_in_url(request.query["filters"]), follows=False)
    others = [Channel(name) for name in names if name != DEFAULT_CHANNEL]
    if len(others) >= most:
        wanted = f"want at most {most - 1} names beside {DEFAULT_CHANNEL}, whose filter stands in the URL"
        raise ClientError(ErrorCode.INVALID_PARAMETER, "Too many channels", fields=(FieldError("channels", wanted),))
    return own, *others


def _filter_in_url(text: str) -> Filter:
    try:
        return parse_filter(decode_object(text.encode(errors="replace"), ErrorCode.INVALID_FILTER)).filter
    except ClientError as error:
        where = tuple(FieldError(f"filters{bad.pointer}", bad.detail) for bad in error.fields)
        raise ClientError(error.code, f"filters: {error.detail}", fields=where) from None
