"""Generate /openapi.json (OpenAPI 3.1) and /asyncapi.json (AsyncAPI 3.0).

Both are generated from what the server itself uses: the types that it decodes and encodes with, the table of REST
endpoints, and the table of parameters of the upgrade request. So nothing is described twice. The description of a type
is its docstring. The summary of an operation is the first line of its handler's docstring.
"""

import inspect
import re
from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from itertools import chain
from typing import Any, NamedTuple, get_args

import msgspec

from app.adapters.http.apidocs.endpoints import Endpoint
from app.adapters.http.response.responses import Problem
from app.core.errors import ERROR_SPECS, ErrorCode
from app.core.protocol import client_messages, server_messages
from app.core.protocol.close_codes import CLIENT_REASONS, CLOSE_CODES
from app.core.validation.values import Value

Schema = dict[str, Any]

CLIENT_MESSAGES = (
    client_messages.Ping,
    client_messages.SubscribeMessage,
    client_messages.Unsubscribe,
    client_messages.List,
    client_messages.Ack,
    client_messages.Explain,
    client_messages.Refresh,
    client_messages.Auth,
)
"""The types of the messages that a client may send, with the keys of their JSON."""
SERVER_MESSAGES = (server_messages.NewsMessage, *get_args(server_messages.Message))
"""The types of the messages that a client may receive."""

_NDJSON = {
    "type": "string",
    "description": "One item on each line, up to the limit publishing.max_batch_items: all are stored, or none.",
}
_FILTERS: Schema = {
    "type": "string",
    "description": "a Filter as JSON: that of the channel default, for this connection only",
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": "#/components/schemas/Filter"},
}
_SECURITY: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "If tokens are required: sub is the user, scope may contain news:publish and news:admin.",
    }
}
_ABOUT = "News pushed to traders' terminals within milliseconds, to each user what their filters match."
_NAME = re.compile(r"\b[A-Z][A-Z_]+\b")
_REF = "#/components/schemas/{name}"


class DescribedTypes(NamedTuple):
    """The JSON Schemas of a list of types. `schemas` has one schema for each type, in the order of the list.
    `components` has, by name, the schemas that those in `schemas` refer to.
    """

    schemas: list[Schema]
    components: dict[str, Schema]


def openapi(endpoints: Iterable[Endpoint], version: str) -> Schema:
    """Return the OpenAPI document for these endpoints. `version` is the version of the server."""
    known = list(endpoints)
    models: list[Any] = [Problem]
    for endpoint in known:
        models += chain(*endpoint.responses.values(), *endpoint.bodies.values())
    described = describe(models)
    by_type = dict(zip(map(repr, models), described.schemas, strict=True))
    paths: dict[str, Schema] = {}
    for endpoint in known:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "polyfloat-news", "version": version, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": described.components, "securitySchemes": _SECURITY},
    }


def asyncapi(query: Mapping[str, Value], version: str) -> Schema:
    """Return the AsyncAPI document for the WebSocket.

    `query` has the parameters of the upgrade request by name, without `filters`, which is added here. `version` is the
    version of the server.
    """
    described = describe([*SERVER_MESSAGES, *CLIENT_MESSAGES])
    named = dict(zip(map(_tag, [*SERVER_MESSAGES, *CLIENT_MESSAGES]), described.schemas, strict=True))
    described.components.update({name: schema for name, schema in named.items() if "$ref" not in schema})
    properties = {name: {**value.schema, "description": value.must_be} for name, value in query.items()}
    upgrade = {"type": "object", "required": ["user_id"], "properties": properties | {"filters": _FILTERS}}
    channel = {
        "address": "/ws/news",
        "description": "One JSON object in each text frame; receivers ignore types and keys that they do not know.",
        "messages": {tag: {"$ref": f"#/components/messages/{tag}"} for tag in named},
        "bindings": {"ws": {"method": "GET", "query": upgrade, "bindingVersion": "0.1.0"}},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "polyfloat-news", "version": version, "description": f"{_ABOUT}\n\n{_closes()}"},
        "defaultContentType": "application/json",
        "channels": {"news": channel},
        "operations": {"hear": _direction("send", SERVER_MESSAGES), "say": _direction("receive", CLIENT_MESSAGES)},
        "components": {
            "messages": {
                _tag(model): _message(model, named[_tag(model)]) for model in (*SERVER_MESSAGES, *CLIENT_MESSAGES)
            },
            "schemas": described.components,
        },
    }


def describe(models: list[Any]) -> DescribedTypes:
    """Return the JSON Schemas (draft 2020-12) of a list of types."""
    schemas, components = msgspec.json.schema_components(models, schema_hook=_hook, ref_template=_REF)
    for schema in components.values():
        schema["description"] = _without_names(inspect.cleandoc(schema.get("description", "")), schema.get("enum", ()))
    return DescribedTypes(list(schemas), components)


def _without_names(description: str, words: Collection[str]) -> str:
    """Return the docstring of an enumeration with the Python names of its values (`GOING_AWAY`) replaced by the values
    as they are in JSON (`going_away`).
    """
    return _NAME.sub(lambda name: f"`{name[0].lower()}`" if name[0].lower() in words else name[0], description)


def _hook(unknown: type) -> Schema:
    """Return the schema of `object`, which stands for any JSON. msgspec calls this for a type that it does not know.
    Raises NotImplementedError for every type other than `object`.
    """
    if unknown is object:
        return {"description": "any JSON"}
    raise NotImplementedError(unknown)


def about(documented: Any) -> str:  # noqa: ANN401 - a type or a handler
    """Return the docstring of a type or handler, without indentation; "" if it has none."""
    return inspect.cleandoc(documented.__doc__ or "")


def _operation(endpoint: Endpoint, by_type: Mapping[str, Schema]) -> Schema:
    text = about(endpoint.handler)
    operation: Schema = {
        "operationId": getattr(endpoint.handler, "__name__", endpoint.path),
        "summary": text.split("\n", maxsplit=1)[0],
        "parameters": [
            *(_parameter(name, one, "path", is_required=True) for name, one in endpoint.path_params.items()),
            *(
                _parameter(name, one, "query", is_required=name in endpoint.required)
                for name, one in endpoint.query.items()
            ),
        ],
        "responses": {
            str(status.value): _answer(status, [by_type[repr(one)] for one in of])
            for status, of in endpoint.responses.items()
        }
        | _problems(endpoint, by_type[repr(Problem)]),
    }
    if ErrorCode.UNAUTHORIZED in endpoint.problems:
        operation["security"] = [{}, {"bearer": [endpoint.scope.value] if endpoint.scope is not None else []}]
    if endpoint.bodies:
        content = {
            kind: {"schema": _body([by_type[repr(part)] for part in of])} for kind, of in endpoint.bodies.items()
        }
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(name: str, value: Value, place: str, *, is_required: bool) -> Schema:
    return {
        "name": name,
        "in": place,
        "required": is_required,
        "description": value.must_be,
        "schema": dict(value.schema),
    }


def _body(parts: list[Schema]) -> Schema:
    """Return the schema of a request body. A JSON body is one object with the keys of one or more types, and `parts`
    are the schemas of these types. If `parts` is empty, the body is NDJSON.
    """
    if not parts:
        return _NDJSON
    return parts[0] if len(parts) == 1 else {"allOf": parts}


def _answer(status: HTTPStatus, ways: list[Schema]) -> Schema:
    schema = ways[0] if len(ways) == 1 else {"oneOf": ways}
    return {"description": status.phrase, "content": {"application/json": {"schema": schema}}}


def _problems(endpoint: Endpoint, schema: Schema) -> dict[str, Schema]:
    """Return the error responses of an endpoint, by HTTP status. Codes with the same status share one response."""
    by_status: dict[str, list[ErrorCode]] = {}
    for code in (*endpoint.problems, ErrorCode.INTERNAL):
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
    """Return the close codes that the server sends, as a Markdown table."""
    rows = [f"| {close.code} | {reason} |" for reason, close in CLOSE_CODES.items() if reason not in CLIENT_REASONS]
    return "\n".join(("| close code | reason |", "|---|---|", *sorted(rows)))
