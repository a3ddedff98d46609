"""Encode a document as a JSON response."""

import msgspec
from aiohttp import web

_encode = msgspec.json.Encoder().encode


def json_response(document: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_encode(document), content_type="application/json")
