"""The protocol, told by the server itself. This file owns which documents there are and where."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import msgspec

from app.adapters.http.apidocs.docs_page import docs_page, errors_page
from app.adapters.http.apidocs.endpoints import api_calls, health_calls
from app.adapters.http.apidocs.schemas import asyncapi, openapi
from app.adapters.http.web.static import StaticPage
from app.adapters.http.websocket.upgrade_request import opening_readers
from app.core.limits import Limits


@cache
def protocol_pages(limits: Limits, version: str) -> Mapping[str, StaticPage]:
    """Make the protocol's documents, for machines and for people; once, also where a process has several servers."""
    described = openapi([*api_calls(limits), *health_calls()], version)
    socket = asyncapi(opening_readers(limits.channels), version)
    pages = {
        "/openapi.json": StaticPage(msgspec.json.encode(described).decode(), "application/json"),
        "/asyncapi.json": StaticPage(msgspec.json.encode(socket).decode(), "application/json"),
        "/docs": StaticPage(docs_page(described, socket), "text/html"),
        "/docs/errors": StaticPage(errors_page(), "text/html"),
    }
    return MappingProxyType(pages)
