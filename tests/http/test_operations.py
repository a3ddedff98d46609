"""What operators use: the canary's endpoint, and the separate port for metrics."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from app.adapters.http.websocket.canary_client import open_receiver
from tests.support.server import RunningServer, running
from tests.support.tokens import SECRET


async def probed(server: RunningServer) -> None:
    """Wait until a probe came back."""
    while not await server.metric("news_canary_probes_total", result="ok"):
        await asyncio.sleep(0.02)


async def test_canary_probes_count_in_no_user_metric() -> None:
    async with running() as server:
        await probed(server)

        assert await server.metric("news_canary_latency_seconds_count") >= 1
        assert await server.metric("news_canary_last_success_timestamp_seconds") > 1_700_000_000
        assert await server.metric("news_connections_opened_total") == 0
        for name in ("connections", "users", "filter_slots", "handshake_duration_seconds_count", "history_items"):
            assert await server.metric(f"news_{name}") == 0
        assert await server.metric("news_filter_decisions_total", outcome="matched") == 0
        assert await server.metric("news_client_received_bytes_total") == 0
        assert (await server.get("/api/v1/connections"))["total"] == 0
        assert (await server.get("/api/v1/stats"))["active_connections"] == 0
        assert (await server.get("/api/v1/news"))["total"] == 0


async def test_users_never_receive_a_probe() -> None:
    async with running() as server, connect(f"{server.ws_url}?user_id=u") as client:
        await probed(server)
        await client.send('{"type":"ping"}')

        assert '"pong"' in str(await client.recv())


@pytest.mark.parametrize("headers", [{}, {"X-Canary-Key": "guess"}, {"X-Canary-Key": "\u00fc"}])
async def test_canary_endpoint_needs_its_key(headers: dict[str, str]) -> None:
    async with running() as server:
        with pytest.raises(ConnectionError, match="404"):
            async with open_receiver(f"{server.url}/ws/canary", headers):
                pytest.fail("let in")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_canary_endpoint_looks_like_an_unknown_path(method: str) -> None:
    async with running() as server:
        answers = []
        for path in ("/ws/canary", "/ws/nothing"):
            async with server.http.request(method, server.url + path) as answer:
                answers.append(
                    (answer.status, sorted(answer.headers), (await answer.read()).replace(path.encode(), b""))
                )

    assert answers[0] == answers[1]
    assert answers[0][0] == 404


async def test_separate_metrics_port_is_the_only_one() -> None:
    async with running(metrics_port=0) as server:
        assert await server.metric("news_ready") == 1
        async with server.http.get(f"{server.url}/metrics") as public:
            assert public.status == 404
        for path in ("/livez", "/readyz", "/health"):
            assert (await server.http.get(server.metrics_url + path)).status == 200
            assert (await server.http.get(server.url + path)).status == 200
        async with server.http.get(f"{server.metrics_url}/api/v1/news") as private:
            assert private.status == 404
        assert await server.metric("news_http_requests_total", route="/metrics", method="GET", code="2xx") >= 1


async def test_refusals_are_logged_with_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(jwt_secret=SECRET) as server:
        for path in ("/api/v1/stats", "/ws/news?user_id=u"):
            async with server.http.get(server.url + path) as answer:
                assert answer.status in (401, 426)
        async with server.http.get(server.url + "/api/v1/nothing") as answer:
            assert answer.status == 404

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "request_refused" in line]
    assert [(line["reason"], line["route"]) for line in lines] == [
        ("unauthorized", "/api/v1/stats"),
        ("upgrade_required", "/ws/news"),
    ]
    assert all(line["detail"] and line["address"] for line in lines)
