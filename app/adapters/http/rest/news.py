"""/api/v1/news: publishing items, reading them back, and explaining why a user did or did not get one."""

import re
import secrets
from collections.abc import Iterable

import msgspec
from aiohttp import web

from app.adapters.http.request.identity import caller_of, check_user
from app.adapters.http.request.params import USER, read_news_query, read_params, require_user
from app.adapters.http.request.request_body import JSON, NDJSON, read_body
from app.adapters.http.response.json_response import json_response
from app.adapters.http.response.responses import Page, Receipt, Receipts, UserExplanation
from app.adapters.http.services import CONTEXT, NEWS
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.limits import PublishLimits
from app.core.news.item import RawNews, parse_raw
from app.core.validation.strict_json import decode_object
from app.flows.connections.explain import explanation_message
from app.flows.news.history import NewsPage
from app.ports.log import Appended, NewsQuery, Record
from app.telemetry.labels import Rejection

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


async def post_news(request: web.Request) -> web.Response:
    """Publish one item as JSON, or several as NDJSON (all or none). The answer is 202 once they are on disk."""
    context, limits = request.app[CONTEXT], request.app[CONTEXT].limits.publishing
    try:
        body = await read_body(request, limits.max_body_bytes, JSON, NDJSON)
        is_batch = request.content_type == NDJSON
        now = context.clock.wall()
        raws = _parse_lines(body, now, limits) if is_batch else [parse_raw(decode_object(body), now)]
        results = await request.app[NEWS].processor.publish(raws, trace_id=_trace_id(request))
    except ClientError as error:
        is_too_large = error.code is ErrorCode.PAYLOAD_TOO_LARGE
        context.stats.intake.record_rejected(Rejection.TOO_LARGE if is_too_large else Rejection.INVALID)
        raise
    receipts = tuple(map(_receipt, results))
    return json_response(Receipts(receipts) if is_batch else receipts[0], status=202)


async def get_news(request: web.Request) -> web.Response:
    """Return a page of stored items, newest first; with `user_id`, only items that match the user's stored filter."""
    context, news = request.app[CONTEXT], request.app[NEWS]
    query, as_user = read_news_query(request.query, context.limits.history.max_page_items)
    stored = await news.subscriptions.filter_of(check_user(request, as_user)) if as_user is not None else None
    query = _with_head(query, news.log.head)
    page = await news.history.page(query, context.clock.wall(), stored, caller_of(request).entitled)
    next_link = _next_link(request, query, page)
    return json_response(Page(with_seq(page.records), page.total, query.limit, query.offset, next_link))


async def get_news_item(request: web.Request) -> web.Response:
    """Return the stored item with this id; 404 if it does not exist or the caller may not see it."""
    now, entitled = request.app[CONTEXT].clock.wall(), caller_of(request).entitled
    record = await request.app[NEWS].history.item(request.match_info["id"], now, entitled)
    if record is None:
        raise ClientError(ErrorCode.NOT_FOUND, "No stored item has this id")
    return json_response(with_seq([record])[0])


async def get_explanation(request: web.Request) -> web.Response:
    """Explain why a user did or did not get an item."""
    user = check_user(request, require_user(read_params(request.query, {"user_id": USER})))
    explainer, entitled = request.app[NEWS].explainer, caller_of(request).entitled
    message = explanation_message(await explainer.explain_to_user(request.match_info["id"], user, entitled))
    return json_response(
        UserExplanation(user, message.item, message.seq, message.verdict, message.steps, message.connections)
    )


def _trace_id(request: web.Request) -> str:
    """Return the trace id from the header `traceparent` (W3C Trace Context); a random one if the header is missing or
    not valid.
    """
    parent = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return parent[1] if parent and parent[1].strip("0") else secrets.token_hex(16)


def _parse_lines(body: bytes, now: float, limits: PublishLimits) -> list[RawNews]:
    """Parse an NDJSON body, which has one item on each line; blank lines are ignored. `now` is in Unix seconds.

    Raises ClientError(INVALID_PARAMETER) if the body has no items, or some are not valid. The error names the wrong
    fields of every invalid item as `/line/field`, at most `fields.MAX_ERRORS` for each item; lines are counted from 0,
    and blank lines are not counted. Raises ClientError(PAYLOAD_TOO_LARGE) if the body has too many items.
    """
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines:
        raise ClientError(ErrorCode.INVALID_PARAMETER, "The body must contain at least one item")
    if len(lines) > limits.max_batch_items:
        detail = f"The body has {len(lines)} items: it must have at most {limits.max_batch_items}"
        raise ClientError(ErrorCode.PAYLOAD_TOO_LARGE, detail)
    raws: list[RawNews] = []
    errors: list[FieldError] = []
    for number, line in enumerate(lines):
        try:
            raws.append(parse_raw(decode_object(line), now, f"/{number}"))
        except ClientError as error:
            errors += _on_line(number, error)
    if errors:
        detail = "No item was stored, because some are not valid"
        raise ClientError(ErrorCode.INVALID_PARAMETER, detail, fields=tuple(errors))
    return raws


def _on_line(number: int, error: ClientError) -> list[FieldError]:
    """Return the errors of a line. An error without a pointer is one of the whole line, so it gets that of the line."""
    reason = f"{error.detail}: " if error.code is ErrorCode.INVALID_JSON else ""
    return [FieldError(bad.pointer or f"/{number}", f"{reason}{bad.detail}") for bad in error.fields]


def _receipt(appended: Appended) -> Receipt:
    return Receipt(appended.id, appended.seq, appended.is_duplicate)


def with_seq(records: Iterable[Record]) -> tuple[msgspec.Raw, ...]:
    """Return the JSON of each item with the key `seq` inserted as its first key. The JSON is not decoded."""
    return tuple(msgspec.Raw(b'{"seq":%d,%b' % (record.seq, record.item_json[1:])) for record in records)


def _with_head(query: NewsQuery, head: int) -> NewsQuery:
    """Return the query with the newest seq of its list, so that items that arrive later are on none of its pages."""
    if query.up_to_seq is not None:
        return query
    return query._replace(up_to_seq=head if query.before_seq is None else min(head, query.before_seq - 1))


def _next_link(request: web.Request, query: NewsQuery, page: NewsPage) -> str | None:
    """Return the path and query of the next page; None if this page is the last one or empty."""
    by_seq = query.after_seq is not None or query.before_seq is not None
    if not page.records or query.offset + len(page.records) >= page.remaining:
        return None
    changed = {"before_seq": str(page.records[-1].seq)} if by_seq else {"offset": str(query.offset + len(page.records))}
    kept = {key: value for key, value in request.query.items() if not (by_seq and key == "offset")}
    return str(request.rel_url.with_query({**kept, **changed, "head": str(query.up_to_seq)}))
