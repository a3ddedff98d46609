"""Render the HTML pages /docs and /docs/errors. The contents of /docs come from the documents /openapi.json and
/asyncapi.json.

Both pages are rendered when the server starts. They need no scripts and nothing from other servers, so they work in
closed networks.
"""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from app.core.errors import ERROR_SPECS

Document = Mapping[str, Any]

_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<title>polyfloat-news: {title}</title><link rel="icon" href="/web/icon.svg">'
    '<link rel="stylesheet" href="/web/docs.css"></head><body>'
)
_FOOT = "</body></html>\n"


def docs_page(openapi: Document, asyncapi: Document) -> str:
    """Return the page /docs: the WebSocket messages, the REST calls, and the types of both."""
    messages = asyncapi["components"]["messages"]
    upgrade = asyncapi["channels"]["news"]["bindings"]["ws"]["query"]
    types = dict(sorted({**openapi["components"]["schemas"], **asyncapi["components"]["schemas"]}.items()))
    parts = (
        _HEAD.format(title="protocol"),
        f"<header><h1>polyfloat-news {escape(openapi['info']['version'])}</h1>",
        '<nav><a href="#socket">WebSocket</a> <a href="#rest">REST</a> <a href="#types">Types</a>'
        ' <a href="/docs/errors">Errors</a> <a href="/openapi.json">openapi.json</a>'
        ' <a href="/asyncapi.json">asyncapi.json</a></nav></header><main>',
        '<section id="socket"><h2>WebSocket</h2><h3><code>GET /ws/news</code></h3>',
        _fields(upgrade["properties"], upgrade["required"]),
        *(_direction(title, asyncapi, name, messages) for name, title in _DIRECTIONS),
        '</section><section id="rest"><h2>REST</h2>',
        *(
            _call(address, method, call)
            for address, calls in openapi["paths"].items()
            for method, call in calls.items()
        ),
        '</section><section id="types"><h2>Types</h2>',
        *(_type(name, schema) for name, schema in types.items()),
        "</section></main>",
        _FOOT,
    )
    return "".join(parts)


def errors_page() -> str:
    """Return the page /docs/errors, which the `type` of every problem response points to."""
    rows = (
        f'<tr id="{code}"><td><code>{code}</code></td><td>{spec.status}</td><td>{escape(spec.title)}</td>'
        f"<td>{'later' if spec.is_retryable else 'only with a changed request'}</td></tr>"
        for code, spec in ERROR_SPECS.items()
    )
    table = f"<table><tr><th>code</th><th>HTTP</th><th>meaning</th><th>retry</th></tr>{''.join(rows)}</table>"
    header = '<header><h1>Errors</h1><nav><a href="/docs">Protocol</a></nav></header>'
    return f"{_HEAD.format(title='errors')}{header}<main>{table}</main>{_FOOT}"


_DIRECTIONS = (("say", "Messages from the client"), ("hear", "Messages from the server"))


def _direction(title: str, asyncapi: Document, name: str, messages: Document) -> str:
    tags = [ref["$ref"].rpartition("/")[2] for ref in asyncapi["operations"][name]["messages"]]
    rows_of = [(tag, _text(messages[tag]["summary"]), _link(messages[tag]["payload"])) for tag in tags]
    rows = "".join(f"<tr><td><code>{tag}</code></td><td>{text} {type_}</td></tr>" for tag, text, type_ in rows_of)
    return f"<h3>{title}</h3><table>{rows}</table>"


def _call(address: str, method: str, call: Document) -> str:
    bodies = call.get("requestBody", {}).get("content", {})
    accepted = "".join(f"<p>Accepts <code>{kind}</code>: {_link(body['schema'])}</p>" for kind, body in bodies.items())
    answers = "".join(
        f"<tr><td>{status}</td><td>{escape(answer['description'])} {_answer(answer)}</td></tr>"
        for status, answer in sorted(call["responses"].items())
    )
    parameters = {one["name"]: {**one["schema"], "description": one["description"]} for one in call["parameters"]}
    required = [one["name"] for one in call["parameters"] if one["required"]]
    title = f"<h3><code>{method.upper()} {escape(address)}</code></h3><p>{_text(call['summary'])}</p>"
    return f"{title}{_fields(parameters, required)}{accepted}<table>{answers}</table>"


def _answer(answer: Document) -> str:
    return " ".join(_link(content["schema"]) for content in answer["content"].values())


def _type(name: str, schema: Document) -> str:
    title = f'<h3 id="{name}">{name}</h3><p>{_text(schema.get("description", ""))}</p>'
    if "enum" in schema:
        return f"{title}<p><code>{'</code> <code>'.join(map(escape, schema['enum']))}</code></p>"
    return title + _fields(schema.get("properties", {}), schema.get("required", []))


def _fields(properties: Document, required: Iterable[str]) -> str:
    required_names = set(required)
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{'required' if name in required_names else ''}</td>"
        f"<td>{_field_text(schema)}</td></tr>"
        for name, schema in properties.items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _field_text(schema: Document) -> str:
    """Return the description of a field as HTML.

    If the schema has no description, or if it refers to other schemas (`$ref`, `anyOf`, `oneOf`, `items`), the result
    begins with the type of the field, as `_shape` writes it.
    """
    words = _text(schema.get("description", ""))
    return words if words and not schema.keys() & {"$ref", "anyOf", "oneOf", "items"} else f"{_shape(schema)} {words}"


def _shape(schema: Document) -> str:
    """Return a schema as a short HTML text: links to types, the words of an enumeration, or the type and its bounds."""
    if any(key in schema for key in ("$ref", "anyOf", "oneOf", "allOf")):
        return _link(schema)
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(word))}</code>" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_shape(schema.get('items', {}))}"
    bounds = [f"{key} {json.dumps(schema[key])}" for key in _BOUNDS if key in schema]
    return escape(", ".join([str(schema.get("type", "any")), *bounds]))


_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "default")


def _link(schema: Document) -> str:
    """Return HTML links to the types that a schema refers to. If it refers to none, return the schema as a short HTML
    text (`_shape`).
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    for key, between in (("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")):
        if key in schema:
            return between.join(map(_shape, schema[key]))
    return _shape(schema)


def _text(text: str) -> str:
    """Return a text as HTML, with the parts between backticks as `code` elements."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
