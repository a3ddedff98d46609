"""The server's output checked against its own description: every frame and every response of a test.

The documents are those that the server serves; the validator is another project's.
"""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from app.adapters.http.apidocs.endpoints import api_endpoints, health_endpoints
from app.adapters.http.apidocs.schemas import asyncapi, openapi
from app.adapters.http.websocket.connect_query import connect_params
from app.core.limits import Limits

Document = dict[str, Any]

OPENAPI: Document = openapi([*api_endpoints(Limits()), *health_endpoints()], "0")
ASYNCAPI: Document = asyncapi(connect_params(Limits().filters.max_channels, Limits().replays.max_last_items), "0")


def _validator(document: Document, schema: Document) -> Any:
    """Return a validator of one schema of a document, with the document's components."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


_MESSAGES = {
    name: _validator(ASYNCAPI, message["payload"]) for name, message in ASYNCAPI["components"]["messages"].items()
}
_HEARD = {ref["$ref"].rpartition("/")[2] for ref in ASYNCAPI["operations"]["hear"]["messages"]}
_answers: dict[tuple[str, str, str], Any] = {}


def check_frame(payload: bytes) -> None:
    """Fail unless /asyncapi.json describes a text frame."""
    message = json.loads(payload)
    assert message["type"] in _HEARD, message
    _check(_MESSAGES[message["type"]], message)


def check_answer(method: str, route: str, status: int, content_type: str, body: bytes) -> None:
    """Fail unless /openapi.json describes a response of a described call."""
    calls: Mapping[str, Document] = OPENAPI["paths"].get(route, {})
    if method.lower() not in calls:
        return
    answers = calls[method.lower()]["responses"]
    assert str(status) in answers, f"{method} {route}: {status} is not described"
    contents = answers[str(status)]["content"]
    assert content_type in contents, f"{method} {route}: {status} as {content_type} is not described"
    key = (method, route, str(status))
    if key not in _answers:
        _answers[key] = _validator(OPENAPI, contents[content_type]["schema"])
    _check(_answers[key], json.loads(body))


def _check(validator: Any, instance: object) -> None:
    errors = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(instance)]
    assert errors == [], instance
