"""/api/v1/subscriptions: stored filters over HTTP."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from app.adapters.http.request.identity import caller_of, check_user
from app.adapters.http.request.params import check_user_id
from app.adapters.http.request.request_body import JSON, read_body
from app.adapters.http.response.json_response import json_response
from app.adapters.http.response.responses import (
    PreviewResult,
    StoredSubscription,
    SubscriptionDeleted,
    SubscriptionSaved,
)
from app.adapters.http.rest.news import with_seq
from app.adapters.http.services import CONTEXT, NEWS
from app.core.access.identity import USER_ID
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.filters.filter import Filter, ParsedFilter, Subscription, parse_filter
from app.core.protocol.server_messages import FieldProblem
from app.core.validation import fields
from app.core.validation.strict_json import decode_object
from app.core.validation.values import MUST_BE

UserId = Annotated[
    str, Meta(pattern=USER_ID, extra={MUST_BE: "a string of 1 to 128 of the characters A-Z a-z 0-9 _ . : @ -"})
]
AlertChannels = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=20)]


class Owner(msgspec.Struct, frozen=True):
    """The keys of a subscription's body beside its filter."""

    user_id: UserId
    alert_channels: AlertChannels | None = None


class Window(msgspec.Struct, frozen=True):
    """The keys of a preview's body beside its filter."""

    hours: Annotated[float, Meta(gt=0, le=168)] = 24.0


async def post_subscription(request: web.Request) -> web.Response:
    """Create a user's subscription (201) or replace it (200); it applies at once to all of the user's connections."""
    owner, parsed = _split(await _read(request), Owner)
    _meter_change(request, owner.user_id)
    subscriptions = request.app[NEWS].subscriptions
    stored, is_new = await subscriptions.replace(owner.user_id, parsed.filter, owner.alert_channels)
    document = SubscriptionSaved(
        "created" if is_new else "updated", stored.user_id, stored.created_at, stored.updated_at, _warnings(parsed)
    )
    return json_response(document, status=201 if is_new else 200)


async def get_subscription(request: web.Request) -> web.Response:
    """Return a user's subscription."""
    user_id = check_user(request, check_user_id(request.match_info["user_id"]))
    return json_response(_document(await request.app[NEWS].subscriptions.find(user_id)))


async def delete_subscription(request: web.Request) -> web.Response:
    """Delete a user's subscription."""
    user_id = check_user(request, check_user_id(request.match_info["user_id"]))
    _meter_change(request, user_id)
    await request.app[NEWS].subscriptions.remove(user_id)
    return json_response(SubscriptionDeleted("deleted", user_id))


async def post_preview(request: web.Request) -> web.Response:
    """Try a filter on recent history, without storing it."""
    window, parsed = _split(await _read(request), Window)
    now, entitled = request.app[CONTEXT].clock.wall(), caller_of(request).entitled
    preview = await request.app[NEWS].history.preview(parsed.filter, now, window.hours, entitled)
    return json_response(
        PreviewResult(
            hours=window.hours,
            scanned=preview.scanned,
            matched=preview.matched,
            rejected=preview.rejected,
            per_hour=preview.per_hour,
            samples=with_seq(preview.samples),
            warnings=_warnings(parsed),
        )
    )


def _meter_change(request: web.Request, user_id: str) -> None:
    """Meter a change if the caller is authenticated; otherwise any caller could use up another user's changes."""
    check_user(request, user_id)
    if caller_of(request).user_id is not None:
        request.app[NEWS].subscriptions.meter_change(user_id)


async def _read(request: web.Request) -> dict[str, object]:
    body = await read_body(request, request.app[CONTEXT].limits.filters.max_body_bytes, JSON)
    return decode_object(body, ErrorCode.INVALID_FILTER)


def _split(body: Mapping[str, object], head: type[fields.Model]) -> tuple[fields.Model, ParsedFilter]:
    """Split a body into its head and its filter. Raises ClientError(INVALID_FILTER) with the wrong fields of both."""
    filters = {key: value for key, value in body.items() if key not in head.__struct_fields__}
    try:
        first = fields.convert(body, head)
    except fields.InvalidFields as error:
        raise _invalid(error.errors + _filter_errors(filters)) from None
    try:
        return first, parse_filter(filters)
    except ClientError as error:
        raise _invalid(error.fields) from None


def _filter_errors(filters: Mapping[str, object]) -> tuple[FieldError, ...]:
    try:
        parse_filter(filters)
    except ClientError as error:
        return error.fields
    return ()


def _invalid(errors: tuple[FieldError, ...]) -> ClientError:
    return ClientError(ErrorCode.INVALID_FILTER, "The subscription is not valid", fields=errors)


def _warnings(parsed: ParsedFilter) -> tuple[FieldProblem, ...] | UnsetType:
    """Return the ignored keys, if there are any."""
    return tuple(FieldProblem(*warning) for warning in parsed.warnings) or UNSET


def _document(stored: Subscription) -> StoredSubscription:
    return StoredSubscription(
        user_id=stored.user_id,
        alert_channels=stored.alert_channels,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        **{name: getattr(stored.filter, name) for name in Filter.__struct_fields__},
    )
