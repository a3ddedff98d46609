"""The protocol, told by the server itself. This file owns which documents there are and where."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import msgspec

from app.adapters.http.contract import api_calls, health_calls
from app.adapters.http.docs_page import docs_page, errors_page
from app.adapters.http.opening import opening_readers
from app.adapters.http.pages import Page
from app.adapters.http.schemas import asyncapi, openapi
from app.core.limits import Limits


@cache
def protocol_pages(limits: Limits, version: str) -> Mapping[str, Page]:
    """Make the protocol's documents, for machines and for people; once, also where a process has several servers."""
    described = openapi([*api_calls(limits), *health_calls()], version)
    socket = asyncapi(opening_readers(limits.channels), version)
    pages = {
        "/openapi.json": Page(msgspec.json.encode(described).decode(), "application/json"),
        "/asyncapi.json": Page(msgspec.json.encode(socket).decode(), "application/json"),
        "/docs": Page(docs_page(described, socket), "text/html"),
        "/docs/errors": Page(errors_page(), "text/html"),
    }
    return MappingProxyType(pages)
