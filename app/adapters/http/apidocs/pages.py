"""The documents that describe the API, by URL path: /openapi.json, /asyncapi.json, /docs and /docs/errors."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import msgspec

from app.adapters.http.apidocs.docs_page import docs_page, errors_page
from app.adapters.http.apidocs.endpoints import api_endpoints, health_endpoints
from app.adapters.http.apidocs.schemas import asyncapi, openapi
from app.adapters.http.web.static import StaticPage
from app.adapters.http.websocket.connect_query import connect_params
from app.core.limits import Limits


@cache
def protocol_pages(limits: Limits, version: str) -> Mapping[str, StaticPage]:
    """Return the documents that describe the API, by URL path. The result is cached: servers in one process share it if
    their limits and version are the same.
    """
    rest = openapi([*api_endpoints(limits), *health_endpoints()], version)
    socket = asyncapi(connect_params(limits.filters.max_channels, limits.replays.max_last_items), version)
    pages = {
        "/openapi.json": StaticPage(msgspec.json.encode(rest).decode(), "application/json"),
        "/asyncapi.json": StaticPage(msgspec.json.encode(socket).decode(), "application/json"),
        "/docs": StaticPage(docs_page(rest, socket), "text/html"),
        "/docs/errors": StaticPage(errors_page(), "text/html"),
    }
    return MappingProxyType(pages)
