"""The server's description of its own API, and that the server conforms to it."""

import asyncio
import sys
from typing import Any

import pytest

from tests.support import contract
from tests.support.items import raw
from tests.support.process import ROOT, server_process
from tests.support.server import RunningServer
from tests.support.time_limits import soon


async def test_documents_are_served_with_valid_references(server: RunningServer) -> None:
    openapi, asyncapi = await server.get("/openapi.json"), await server.get("/asyncapi.json")

    assert (openapi["openapi"], asyncapi["asyncapi"]) == ("3.1.0", "3.0.0")
    assert openapi["paths"].keys() == contract.OPENAPI["paths"].keys()
    for document in (openapi, asyncapi):
        assert len(_references(document)) > 20
        for reference in _references(document):
            target = document
            for key in reference.removeprefix("#/").split("/"):
                target = target[key]


def _references(document: Any) -> set[str]:
    if isinstance(document, dict):
        own = {document["$ref"]} if "$ref" in document else set()
        return own.union(*map(_references, document.values()))
    return set().union(*map(_references, document)) if isinstance(document, list) else set()


async def test_every_described_call_exists(server: RunningServer) -> None:
    described = {(method.upper(), path) for path, calls in contract.OPENAPI["paths"].items() for method in calls}

    for method, path in described:
        address = server.url + path.format(id="rss_1", user_id="u")
        async with server.http.request(method, address) as answer:
            assert answer.status != 405
            assert (await answer.json(content_type=None)).get("detail") != "Not Found"
    assert len(described) == 17


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
async def test_pages_need_no_other_server(server: RunningServer, path: str) -> None:
    async with server.http.get(server.url + path) as answer:
        page = await answer.text()

    assert answer.status == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page


async def test_error_type_links_to_its_description(server: RunningServer) -> None:
    async with server.http.get(f"{server.url}/api/v1/news?limit=x") as answer:
        problem = await answer.json(content_type="application/problem+json")
    page, _, anchor = problem["type"].partition("#")
    async with server.http.get(server.url + page) as told:
        assert f'id="{anchor}"' in await told.text()


async def test_responses_match_the_documents(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[tuple[object, ...]] = []
    monkeypatch.setattr(contract, "check_answer", lambda *given: checked.append(given[:3]))

    await server.publish(raw(1))
    await server.get("/api/v1/stats")

    assert checked == [("POST", "/api/v1/news", 202), ("GET", "/api/v1/stats", 200)]


@pytest.mark.parametrize(
    "frame",
    [b'{"type":"nonsense"}', b'{"type":"ping"}', b'{"type":"live","seq":"1","replayed":0}', b'{"type":"live","seq":1}'],
)
def test_undescribed_frame_is_found(frame: bytes) -> None:
    with pytest.raises(AssertionError):
        contract.check_frame(frame)


def test_undescribed_response_is_found() -> None:
    json = "application/json"
    contract.check_answer("GET", "/livez", 200, json, b'{"status":"alive"}')
    for status, kind, body in ((200, json, b'{"status":"dead"}'), (201, json, b"{}"), (200, "text/plain", b"{}")):
        with pytest.raises(AssertionError):
            contract.check_answer("GET", "/livez", status, kind, body)


@pytest.mark.process
@pytest.mark.time_limit(180)
async def test_schemathesis_finds_nothing() -> None:
    """Every check except one: a schema cannot express which URLs, phrases or JSON texts are valid."""
    async with server_process("--database", ":memory:") as running:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "tests/http/schemathesis.toml"),
            *("run", f"{running.server.url}/openapi.json"),
            *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
            *("--max-examples", "30", "--seed", "7", "--no-color"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await soon(process.communicate(), 170)

    print(out.decode())  # noqa: T201 - what it generated and found
    assert process.returncode == 0
    assert b"Tested: 17" in out
