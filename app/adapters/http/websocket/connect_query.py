"""Parse the query of an upgrade request: user, device, channels, where to resume, acks."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from app.adapters.http.request.params import DEVICE, USER, read_params, refuse_unknown_params
from app.adapters.http.websocket.upgrade_request import UpgradeRequest
from app.core.delivery.positions import POSITION, ResumeLast, ResumeRequest, ResumeSince, parse_position
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.filters.filter import CHANNEL_NAME, DEFAULT_CHANNEL, Filter, parse_filter
from app.core.limits import Limits
from app.core.validation.strict_json import decode_object
from app.core.validation.values import Value, integer, unix_time
from app.flows.connections.connect import ConnectRequest
from app.flows.delivery.channel import Channel
from app.flows.delivery.session import client_options

RESUME_KEYS = ("resume", "since", "last")

_CHANNEL = re.compile(CHANNEL_NAME)


def parse_connect_query(upgrade: UpgradeRequest, limits: Limits) -> ConnectRequest:
    """Return what the query of an upgrade request asks for. Raises ClientError(INVALID_PARAMETER, INVALID_JSON,
    INVALID_FILTER).
    """
    max_channels = limits.filters.max_channels
    params = connect_params(max_channels, limits.replays.max_last_items)
    if upgrade.is_v2:
        # Classic clients may send whatever they sent to the original service, which ignored it.
        refuse_unknown_params(upgrade.query, (*params, "filters", "token"))
    values = read_params(upgrade.query, params)
    uses_acks = values.get("ack", 0) == 1
    return ConnectRequest(
        user_id=values.get("user_id"),
        # Acks are stored by device. A client that uses acks without a `device_id` gets the device id "". All such
        # connections of a user share this device.
        device_id=values.get("device_id", "" if uses_acks else None),
        channels=_channels(upgrade, values.get("channels", (DEFAULT_CHANNEL,)), max_channels),
        resume=_resume_request(values),
        is_resume_required=values.get("resume_required", 0) == 1,
        options=client_options(upgrade.is_v2, uses_acks, upgrade.deflate_window_bits),
    )


@cache
def connect_params(max_channels: int, max_last_items: int) -> Mapping[str, Value]:
    """Return the query parameters of GET /ws/news by name, except `filters`, which is parsed separately."""
    return {
        "user_id": USER,
        "device_id": DEVICE,
        "resume": Value("<epoch>:<seq>", parse_position, {"type": "string", "pattern": POSITION}),
        "since": unix_time(),
        "last": integer(1, max_last_items),
        "resume_required": integer(0, 1),
        "ack": integer(0, 1),
        "v": integer(1, 2),
        "channels": _channel_names(max_channels),
    }


def _channel_names(max_channels: int) -> Value:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(filter(None, text.split(","))))
        if not 1 <= len(names) <= max_channels or not all(map(_CHANNEL.match, names)):
            raise ValueError(text)
        return names

    must_be = f"1 to {max_channels} names of the characters A-Z a-z 0-9 _ . : @ -, separated by commas"
    return Value(must_be, read, {"type": "string"})


def _resume_request(values: Mapping[str, Any]) -> ResumeRequest | None:
    """Return where in the log the client wants to start; None if the query does not say.

    Raises ClientError(INVALID_PARAMETER) if the query has more than one of `resume`, `since` and `last`.
    """
    named = [key for key in RESUME_KEYS if key in values]
    if len(named) > 1:
        errors = tuple(FieldError(key, "must be the only one of resume, since, last") for key in named)
        raise ClientError(ErrorCode.INVALID_PARAMETER, "Invalid query parameters", fields=errors)
    if "since" in values:
        return ResumeSince(values["since"])
    if "last" in values:
        return ResumeLast(values["last"])
    return values.get("resume")


def _channels(upgrade: UpgradeRequest, names: tuple[str, ...], max_channels: int) -> tuple[Channel, ...]:
    """Return the channels that a connection starts with. If the query has the parameter `filters`, it is the filter of
    channel `default`, for this connection only.

    Raises ClientError(INVALID_PARAMETER, INVALID_JSON, INVALID_FILTER).
    """
    if "filters" not in upgrade.query:
        return tuple(map(Channel, names))
    own = Channel(DEFAULT_CHANNEL, _filter_in_url(upgrade.query["filters"]), tracks_stored=False)
    others = [Channel(name) for name in names if name != DEFAULT_CHANNEL]
    if len(others) >= max_channels:
        detail = f"must be at most {max_channels - 1} names beside {DEFAULT_CHANNEL}, whose filter is in the URL"
        raise ClientError(ErrorCode.INVALID_PARAMETER, "Too many channels", fields=(FieldError("channels", detail),))
    return own, *others


def _filter_in_url(text: str) -> Filter:
    try:
        return parse_filter(decode_object(text.encode(errors="replace"), ErrorCode.INVALID_FILTER)).filter
    except ClientError as error:
        where = tuple(FieldError(f"filters{bad.pointer}", bad.detail) for bad in error.fields)
        raise ClientError(error.code, f"filters: {error.detail}", fields=where) from None
