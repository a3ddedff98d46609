"""/api/v1/subscriptions. This file owns stored filters over HTTP."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from app.adapters.http.request.identity import caller, check_user
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
from app.adapters.http.services import PARTS, Parts
from app.core.access.identity import USER_ID
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.filters.filter import Filter, ParsedFilter, Subscription, parse_filter
from app.core.protocol.server_messages import FieldProblem
from app.core.validation import fields
from app.core.validation.strict_json import decode_object

UserId = Annotated[str, Meta(pattern=USER_ID)]
AlertChannels = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=20)]


class Owner(msgspec.Struct, frozen=True):
    """The keys of a subscription's body beside its filter."""

    user_id: UserId
    alert_channels: AlertChannels | None = None


class Window(msgspec.Struct, frozen=True):
    """The keys of a preview's body beside its filter."""

    hours: Annotated[float, Meta(gt=0, le=168)] = 24.0


async def post_subscription(request: web.Request) -> web.Response:
    """Create a user's subscription (201) or replace it (200); it is live at once on all of the user's connections."""
    parts = request.app[PARTS]
    owner, checked = _split(await _read(request, parts), Owner)
    _meter_change(request, owner.user_id)
    stored, is_new = await parts.subscriptions.replace(owner.user_id, checked.filter, owner.alert_channels)
    document = SubscriptionSaved(
        "created" if is_new else "updated", stored.user_id, stored.created_at, stored.updated_at, _warnings(checked)
    )
    return json_response(document, status=201 if is_new else 200)


async def get_subscription(request: web.Request) -> web.Response:
    """Give a user's subscription."""
    user_id = check_user(request, check_user_id(request.match_info["user_id"]))
    return json_response(_document(await request.app[PARTS].subscriptions.find(user_id)))


async def delete_subscription(request: web.Request) -> web.Response:
    """Forget a user's subscription."""
    user_id = check_user(request, check_user_id(request.match_info["user_id"]))
    _meter_change(request, user_id)
    await request.app[PARTS].subscriptions.remove(user_id)
    return json_response(SubscriptionDeleted("deleted", user_id))


async def post_preview(request: web.Request) -> web.Response:
    """Try a filter on recent history, without storing it."""
    parts = request.app[PARTS]
    window, checked = _split(await _read(request, parts), Window)
    now, entitled = parts.clock.wall(), caller(request).entitled
    preview = await parts.history.preview(checked.filter, now, window.hours, entitled)
    return json_response(
        PreviewResult(
            hours=window.hours,
            scanned=preview.scanned,
            matched=preview.matched,
            rejected=preview.rejected,
            per_hour=preview.per_hour,
            samples=with_seq(preview.samples),
            warnings=_warnings(checked),
        )
    )


def _meter_change(request: web.Request, user_id: str) -> None:
    """Count a change where the caller is known; otherwise whoever names a user could use up what is that one's."""
    check_user(request, user_id)
    if caller(request).user_id is not None:
        request.app[PARTS].subscriptions.meter_change(user_id)


async def _read(request: web.Request, parts: Parts) -> dict[str, object]:
    body = await read_body(request, parts.limits.subscription_body_bytes, JSON)
    return decode_object(body, ErrorCode.INVALID_FILTER)


def _split(body: Mapping[str, object], head: type[fields.Model]) -> tuple[fields.Model, ParsedFilter]:
    """Part a body into its head and its filter. Raises Theirs(INVALID_FILTER) with the bad fields of both."""
    wishes = {key: value for key, value in body.items() if key not in head.__struct_fields__}
    try:
        first = fields.convert(body, head)
    except fields.InvalidFields as error:
        raise _invalid(error.errors + _filter_errors(wishes)) from None
    try:
        return first, parse_filter(wishes)
    except ClientError as error:
        raise _invalid(error.fields) from None


def _filter_errors(wishes: Mapping[str, object]) -> tuple[FieldError, ...]:
    try:
        parse_filter(wishes)
    except ClientError as error:
        return error.fields
    return ()


def _invalid(errors: tuple[FieldError, ...]) -> ClientError:
    return ClientError(ErrorCode.INVALID_FILTER, "The subscription is not valid", fields=errors)


def _warnings(checked: ParsedFilter) -> tuple[FieldProblem, ...] | UnsetType:
    """Say what was ignored, where anything was."""
    return tuple(FieldProblem(*noticed) for noticed in checked.warnings) or UNSET


def _document(stored: Subscription) -> StoredSubscription:
    return StoredSubscription(
        user_id=stored.user_id,
        alert_channels=stored.alert_channels,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        **{name: getattr(stored.filter, name) for name in Filter.__struct_fields__},
    )
