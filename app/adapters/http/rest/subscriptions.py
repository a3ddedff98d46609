"""/api/v1/subscriptions: storing, reading, deleting and trying users' filters over HTTP."""

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
from app.core.access.identity import USER_ID, USER_ID_MUST_BE
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.filters.filter import Filter, ParsedFilter, Subscription, parse_filter
from app.core.protocol.server_messages import FieldProblem
from app.core.validation import fields
from app.core.validation.strict_json import decode_object
from app.core.validation.values import MUST_BE

UserId = Annotated[str, Meta(pattern=USER_ID, extra={MUST_BE: f"a string of {USER_ID_MUST_BE}"})]
AlertChannels = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=20)]


class Owner(msgspec.Struct, frozen=True):
    """The keys of a subscription that are not part of its filter: the user, and the names of the user's alert channels.
    If `alert_channels` is missing, the stored names are kept; a new subscription gets `terminal`.
    """

    user_id: UserId
    alert_channels: AlertChannels | None = None


class Window(msgspec.Struct, frozen=True):
    """The key of a preview that is not part of the filter. Items of the last `hours` are searched."""

    hours: Annotated[float, Meta(gt=0, le=168)] = 24.0


async def post_subscription(request: web.Request) -> web.Response:
    """Store a user's filter (201 if new, 200 if replaced); connections that track it use the new one at once."""
    owner, parsed = _split(await _read(request), Owner)
    check_user_id(owner.user_id)
    _meter_change(request, owner.user_id)
    subscriptions = request.app[NEWS].subscriptions
    stored, is_new = await subscriptions.replace(owner.user_id, parsed.filter, owner.alert_channels)
    document = SubscriptionSaved(
        "created" if is_new else "updated", stored.user_id, stored.created_at, stored.updated_at, _warnings(parsed)
    )
    return json_response(document, status=201 if is_new else 200)


async def get_subscription(request: web.Request) -> web.Response:
    """Return a user's stored filter and alert channels; 404 if nothing is stored."""
    user_id = check_user(request, check_user_id(request.match_info["user_id"]))
    return json_response(_document(await request.app[NEWS].subscriptions.find(user_id)))


async def delete_subscription(request: web.Request) -> web.Response:
    """Delete all stored filters of a user; 404 if there are none."""
    user_id = check_user(request, check_user_id(request.match_info["user_id"]))
    _meter_change(request, user_id)
    await request.app[NEWS].subscriptions.remove(user_id)
    return json_response(SubscriptionDeleted("deleted", user_id))


async def post_preview(request: web.Request) -> web.Response:
    """Try a filter on recent items, without storing it."""
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
    """Count a filter change toward the user's rate limit, if the server requires tokens. Without tokens, any caller
    could use up the limit of another user.

    Raises ClientError(FORBIDDEN) if the caller may not act for the user, and ClientError(RATE_LIMITED) if the limit is
    exceeded.
    """
    check_user(request, user_id)
    if caller_of(request).user_id is not None:
        request.app[NEWS].subscriptions.meter_change(user_id)


async def _read(request: web.Request) -> dict[str, object]:
    body = await read_body(request, request.app[CONTEXT].limits.filters.max_body_bytes, JSON)
    return decode_object(body, ErrorCode.INVALID_FILTER)


def _split(body: Mapping[str, object], head: type[fields.Model]) -> tuple[fields.Model, ParsedFilter]:
    """Parse a body in two parts: the keys that `head` declares, and all other keys as a filter. Raises
    ClientError(INVALID_FILTER), which names the wrong fields of both parts.
    """
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
    """Return a warning for each key that was ignored. If there is none, return UNSET, which leaves the key `warnings`
    out of the response.
    """
    return tuple(FieldProblem(*warning) for warning in parsed.warnings) or UNSET


def _document(stored: Subscription) -> StoredSubscription:
    return StoredSubscription(
        user_id=stored.user_id,
        alert_channels=stored.alert_channels,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        **{name: getattr(stored.filter, name) for name in Filter.__struct_fields__},
    )
