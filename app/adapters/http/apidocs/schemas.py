"""The protocol as documents for machines. This file owns /openapi.json (OpenAPI 3.1) and /asyncapi.json (AsyncAPI 3.0).

Everything in them comes from the types that the server reads and writes with, and from the tables of calls and of
parameters: nothing is described twice. A type's docstring is its description.
"""

import inspect
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import chain
from typing import Any, NamedTuple, get_args

import msgspec

from app.adapters.http.apidocs.endpoints import Endpoint
from app.adapters.http.request.params import Param
from app.adapters.http.response.responses import Problem
from app.core.errors import ERROR_SPECS, ErrorCode
from app.core.protocol import client_messages, server_messages
from app.core.protocol.close_codes import CLIENT_REASONS, CLOSE_CODES

Schema = dict[str, Any]

SAID = (
    client_messages.Ping,
    client_messages.SubscribeMessage,
    client_messages.Unsubscribe,
    client_messages.List,
    client_messages.Ack,
    client_messages.Explain,
    client_messages.Refresh,
    client_messages.Auth,
)
"""What a client may say, as it stands on the wire."""
HEARD = (server_messages.NewsMessage, *get_args(server_messages.Message))
"""What a client may hear."""

_NDJSON = {"type": "string", "description": "One item a line, up to 100: all are stored or none."}
_FILTERS: Schema = {
    "type": "string",
    "description": "a Filter as JSON: that of the channel default, for this connection alone",
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": "#/components/schemas/Filter"},
}
_SECURITY: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Where tokens are asked for: sub is the user, scope may have news:publish and news:admin.",
    }
}
_ABOUT = "News pushed to traders' terminals the moment it is known, each user only what their filters ask for."
_REF = "#/components/schemas/{name}"


class Described(NamedTuple):
    """Types as JSON Schemas: one for each that was asked, and the components that they point to."""

    schemas: list[Schema]
    components: dict[str, Schema]


def openapi(calls: Iterable[Endpoint], version: str) -> Schema:
    """Describe the calls."""
    known = list(calls)
    models: list[Any] = [Problem]
    for call in known:
        models += chain(*call.answers.values(), *call.bodies.values())
    described = describe(models)
    by_type = dict(zip(map(repr, models), described.schemas, strict=True))
    paths: dict[str, Schema] = {}
    for call in known:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "polyfloat-news", "version": version, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": described.components, "securitySchemes": _SECURITY},
    }


def asyncapi(query: Mapping[str, Param], version: str) -> Schema:
    """Describe the socket; `query` has the parameters of the upgrade request."""
    described = describe([*HEARD, *SAID])
    named = dict(zip(map(_tag, [*HEARD, *SAID]), described.schemas, strict=True))
    described.components.update({name: schema for name, schema in named.items() if "$ref" not in schema})
    properties = {name: {**reader.schema, "description": reader.must_be} for name, reader in query.items()}
    upgrade = {"type": "object", "required": ["user_id"], "properties": properties | {"filters": _FILTERS}}
    channel = {
        "address": "/ws/news",
        "description": "One JSON object a text frame; receivers ignore types and keys that they do not know.",
        "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in named},
        "bindings": {"ws": {"method": "GET", "query": upgrade, "bindingVersion": "0.1.0"}},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "polyfloat-news", "version": version, "description": f"{_ABOUT}\n\n{_closes()}"},
        "defaultContentType": "application/json",
        "channels": {"news": channel},
        "operations": {"hear": _direction("send", HEARD), "say": _direction("receive", SAID)},
        "components": {
            "messages": {_tag(model): _message(model, named[_tag(model)]) for model in (*HEARD, *SAID)},
            "schemas": described.components,
        },
    }


def describe(models: list[Any]) -> Described:
    """Give JSON Schemas (draft 2020-12) of types."""
    schemas, components = msgspec.json.schema_components(models, schema_hook=_hook, ref_template=_REF)
    return Described(list(schemas), components)


def _hook(unknown: type) -> Schema:
    """Let an `object` be any JSON. Raises NotImplementedError for what cannot be JSON."""
    if unknown is object:
        return {"description": "any JSON"}
    raise NotImplementedError(unknown)


def about(documented: Any) -> str:  # noqa: ANN401 - a type or a handler
    """Give a docstring's text."""
    return inspect.cleandoc(documented.__doc__ or "")


def _operation(call: Endpoint, by_type: Mapping[str, Schema]) -> Schema:
    text = about(call.handler)
    operation: Schema = {
        "operationId": getattr(call.handler, "__name__", call.path),
        "summary": text.split("\n", maxsplit=1)[0],
        "parameters": [
            *(_parameter(name, reader, "path", is_required=True) for name, reader in call.path_params.items()),
            *(_parameter(name, one, "query", is_required=name in call.required) for name, one in call.query.items()),
        ],
        "responses": {
            str(status.value): _answer(status, [by_type[repr(one)] for one in of])
            for status, of in call.answers.items()
        }
        | _problems(call, by_type[repr(Problem)]),
    }
    if ErrorCode.UNAUTHORIZED in call.problems:
        operation["security"] = [{}, {"bearer": [call.scope.value] if call.scope is not None else []}]
    if call.bodies:
        content = {kind: {"schema": _body([by_type[repr(part)] for part in of])} for kind, of in call.bodies.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(name: str, reader: Param, place: str, *, is_required: bool) -> Schema:
    return {
        "name": name,
        "in": place,
        "required": is_required,
        "description": reader.must_be,
        "schema": dict(reader.schema),
    }


def _body(parts: list[Schema]) -> Schema:
    """A body of several parts has the keys of all of them."""
    if not parts:
        return _NDJSON
    return parts[0] if len(parts) == 1 else {"allOf": parts}


def _answer(status: HTTPStatus, ways: list[Schema]) -> Schema:
    schema = ways[0] if len(ways) == 1 else {"oneOf": ways}
    return {"description": status.phrase, "content": {"application/json": {"schema": schema}}}


def _problems(call: Endpoint, schema: Schema) -> dict[str, Schema]:
    """Describe a call's errors, by status; several may share one."""
    by_status: dict[str, list[ErrorCode]] = {}
    for code in (*call.problems, ErrorCode.INTERNAL):
        by_status.setdefault(str(ERROR_SPECS[code].status), []).append(code)
    return {
        status: {"description": ", ".join(codes), "content": {"application/problem+json": {"schema": schema}}}
        for status, codes in by_status.items()
    }


def _direction(action: str, models: Iterable[type[msgspec.Struct]]) -> Schema:
    refs = [{"$ref": f"#/channels/news/messages/{_tag(model)}"} for model in models]
    return {"action": action, "channel": {"$ref": "#/channels/news"}, "messages": refs}


def _message(model: type[msgspec.Struct], schema: Schema) -> Schema:
    return {"name": _tag(model), "title": _tag(model), "summary": about(model), "payload": schema}


def _tag(model: type[msgspec.Struct]) -> str:
    return str(model.__struct_config__.tag)


def _closes() -> str:
    """Say what the server closes with, as a table."""
    rows = [f"| {close.code} | {ending} |" for ending, close in CLOSE_CODES.items() if ending not in CLIENT_REASONS]
    return "\n".join(("| close code | reason |", "|---|---|", *sorted(rows)))
