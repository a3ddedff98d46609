"""/api/v1/news. This file owns publishing over HTTP and reading back."""

import re
import secrets
from collections.abc import Iterable

import msgspec
from aiohttp import web

from app.adapters.http.request.identity import caller, check_user
from app.adapters.http.request.params import read_news_query, read_parameters, require_user_id, user_id
from app.adapters.http.request.request_body import JSON, NDJSON, read_body
from app.adapters.http.response.json_response import json_response
from app.adapters.http.response.responses import Page, Receipt, Receipts, UserExplanation
from app.adapters.http.services import PARTS, Parts
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.news.item import RawNews, parse_raw
from app.core.validation.strict_json import decode_object
from app.flows.connections.explain import explanation_message
from app.flows.news.history import NewsPage
from app.ports.log import Appended, NewsQuery, Record
from app.telemetry.labels import Rejection

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


async def post_news(request: web.Request) -> web.Response:
    """Take one item, or up to 100 as NDJSON, all or none: 202 once they are on the disk."""
    parts = request.app[PARTS]
    try:
        body = await read_body(request, parts.limits.publish_body_bytes, JSON, NDJSON)
        trace_id = _trace_id(request)
        if request.content_type != NDJSON:
            [appended] = await parts.processor.publish([parse_raw(decode_object(body))], trace_id=trace_id)
            return json_response(_receipt(appended), status=202)
        raws = _parse_lines(body, parts.limits.publish_batch_items)
        results = await parts.processor.publish(raws, trace_id=trace_id)
        return json_response(Receipts(tuple(map(_receipt, results))), status=202)
    except ClientError as error:
        too_large = error.code is ErrorCode.PAYLOAD_TOO_LARGE
        parts.stats.rejected[Rejection.TOO_LARGE if too_large else Rejection.INVALID] += 1
        raise


async def get_news(request: web.Request) -> web.Response:
    """Give a page of stored items, newest first; as a user's filter sees them with `user_id`."""
    parts = request.app[PARTS]
    query, as_user = read_news_query(request.query, parts.limits.page_items)
    wants = await parts.subscriptions.filter_of(check_user(request, as_user)) if as_user is not None else None
    page = await parts.history.page(query, parts.clock.wall(), wants, caller(request).entitled)
    following = _next(request, query, page)
    return json_response(Page(with_seq(page.records), page.total, query.limit, query.offset, following))


async def get_news_item(request: web.Request) -> web.Response:
    """Give one stored item."""
    parts: Parts = request.app[PARTS]
    record = await parts.history.item(request.match_info["id"], parts.clock.wall(), caller(request).entitled)
    if record is None:
        raise ClientError(ErrorCode.NOT_FOUND, "No stored item has this id")
    return json_response(with_seq([record])[0])


async def get_explanation(request: web.Request) -> web.Response:
    """Say why a user did or did not get an item."""
    user = check_user(request, require_user_id(read_parameters(request.query, {"user_id": user_id})))
    explain, entitled = request.app[PARTS].explain, caller(request).entitled
    explanation = await explain.to_user(request.match_info["id"], user, entitled)
    said = explanation_message(explanation)
    return json_response(UserExplanation(user, said.item, said.seq, said.verdict, said.steps, said.connections))


def _trace_id(request: web.Request) -> str:
    """Give the publisher's trace (W3C Trace Context, traceparent), or begin one."""
    given = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return given[1] if given and given[1].strip("0") else secrets.token_hex(16)


def _parse_lines(body: bytes, most_items: int) -> list[RawNews]:
    """Read NDJSON (blank lines are nothing). Raises Theirs naming the bad fields of every line, as /line/field."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines:
        raise ClientError(ErrorCode.INVALID_PARAMETER, "The body holds no item")
    if len(lines) > most_items:
        raise ClientError(ErrorCode.PAYLOAD_TOO_LARGE, f"{len(lines)} items: want {most_items} at most")
    raws: list[RawNews] = []
    errors: list[FieldError] = []
    for number, line in enumerate(lines):
        try:
            raws.append(parse_raw(decode_object(line), f"/{number}"))
        except ClientError as error:
            errors += error.fields if error.code is not ErrorCode.INVALID_JSON else _on_line(number, error)
    if errors:
        raise ClientError(ErrorCode.INVALID_PARAMETER, "No item was stored: some are not valid", fields=tuple(errors))
    return raws


def _on_line(number: int, error: ClientError) -> list[FieldError]:
    """Say of a line that is no JSON which line it is."""
    return [FieldError(f"/{number}", f"{error.detail}: {bad.detail}") for bad in error.fields]


def _receipt(appended: Appended) -> Receipt:
    return Receipt(appended.id, appended.seq, appended.is_duplicate)


def with_seq(records: Iterable[Record]) -> tuple[msgspec.Raw, ...]:
    """Put the seq before an item's own keys, without reading its JSON again."""
    return tuple(msgspec.Raw(b'{"seq":%d,%b' % (record.seq, record.item_json[1:])) for record in records)


def _next(request: web.Request, query: NewsQuery, page: NewsPage) -> str | None:
    """Give the link to the next page, None when this is the last one."""
    by_seq = query.after_seq is not None or query.before_seq is not None
    if not page.records or query.offset + len(page.records) >= page.total:
        return None
    changed = {"before_seq": str(page.records[-1].seq)} if by_seq else {"offset": str(query.offset + query.limit)}
    kept = {key: value for key, value in request.query.items() if not (by_seq and key == "offset")}
    return str(request.rel_url.with_query({**kept, **changed}))
