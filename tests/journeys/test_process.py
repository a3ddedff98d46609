"""The server as a process: starting, stopping, being killed, and its commands."""

import asyncio
import json
import os
import signal
import sqlite3
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import aiohttp
import jwt
import pytest
import websockets
from websockets.asyncio.client import connect

from tests.support.items import raw
from tests.support.process import free_port, run_command, server_process, spawn
from tests.support.server import RunningServer
from tests.support.sockets import open_raw
from tests.support.time_limits import soon, within
from tests.support.tokens import SECRET

pytestmark = [pytest.mark.process, pytest.mark.time_limit(60)]


async def test_sigterm_drains_in_order_and_exits_0(tmp_path: Path) -> None:
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        server = running.server
        async with connect(f"{server.ws_url}?user_id=u") as socket:
            ghost = await open_raw(server.ws_url, "ghost")
            await server.publish(raw(1))
            await socket.recv()
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await soon(socket.recv())
            # One client does not answer the close frame; until it is aborted the server runs and reports its state.
            async with server.http.get(f"{server.url}/readyz") as ready:
                checks = (await ready.json())["checks"]
            async with server.http.post(f"{server.url}/api/v1/news", json=raw(2)) as publish:
                refusal = await publish.json(content_type="application/problem+json")
            with pytest.raises(websockets.InvalidStatus) as upgrade:
                await connect(f"{server.ws_url}?user_id=v")
        code = await soon(running.process.wait())
        ghost.close()

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "shutdown;retry_after_ms=3000")
    assert (ready.status, checks["not_draining"]) == (503, False)
    assert (publish.status, refusal["code"]) == (503, "draining")
    assert "Retry-After" in publish.headers
    assert upgrade.value.response.status_code == 503
    assert code == 0


async def test_second_sigterm_stops_at_once(tmp_path: Path) -> None:
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        ghost = await open_raw(running.server.ws_url, "ghost")
        running.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)

        code = await soon(running.end())
        ghost.close()

    assert code == 1


async def test_ctrl_c_stops_the_server(tmp_path: Path) -> None:
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        assert await running.end(signal.SIGINT) == 0


async def publish_until_gone(server: RunningServer, first: int, acknowledged: dict[str, int]) -> None:
    """Publish item after item until the server is gone; record what it accepted."""
    with suppress(aiohttp.ClientError):
        for number in count(first):
            [receipt] = await server.publish(raw(number))
            acknowledged[receipt["id"]] = receipt["seq"]


async def test_kill_9_loses_no_acknowledged_item(tmp_path: Path) -> None:
    path = str(tmp_path / "news.db")
    acknowledged: dict[str, int] = {}
    for kill in range(3):
        async with server_process("--database", path) as running, asyncio.TaskGroup() as publishers:
            for lane in range(4):
                first = (kill * 4 + lane) * 1_000_000
                publishers.create_task(publish_until_gone(running.server, first, acknowledged))
            await asyncio.sleep(0.4)
            assert await running.end(signal.SIGKILL) == -signal.SIGKILL

    stored: dict[str, int] = {}
    async with server_process("--database", path) as running:
        link = "/api/v1/news?limit=500&after_seq=0"
        while link:
            page = await running.server.get(link)
            stored |= {item["id"]: item["seq"] for item in page["items"]}
            link = page["next"]

    lost = acknowledged.keys() - stored.keys()
    print(f"acknowledged {len(acknowledged)}, stored {len(stored)}, lost {len(lost)}, kills 3")  # noqa: T201
    assert len(acknowledged) > 100
    assert not lost
    assert {item_id: stored[item_id] for item_id in acknowledged} == acknowledged
    assert sorted(stored.values()) == list(range(1, len(stored) + 1))


async def test_publish_and_listen_work_on_the_command_line(tmp_path: Path) -> None:
    async with server_process("--database", ":memory:") as running:
        server = running.server
        listener = await spawn(
            "listen", "--user", "me", "--category", "crypto", "--min-impact", "50", "--server", server.url
        )
        while not await server.metric("news_connections"):
            await asyncio.sleep(0.02)
        lines = [
            raw(1, category="crypto", impact_score=80, tickers=["BTC"]),
            raw(2, category="sports", impact_score=80),
        ]
        ndjson = "\n".join(map(json.dumps, lines)).encode()

        first = await run_command("publish", "-", "--server", server.url, stdin=ndjson)
        again = await run_command("publish", "-", "--server", server.url, stdin=ndjson)
        one = tmp_path / "one.json"
        one.write_text(json.dumps(raw(3), indent=2))
        single = await run_command("publish", str(one), "--server", server.url)
        bad = await run_command("publish", "-", "--server", server.url, stdin=b'{"source":"fax"}\n')
        assert listener.stdout is not None
        heard = (await soon(listener.stdout.readline())).decode()
        listener.send_signal(signal.SIGINT)
        await listener.wait()

    assert (first.code, first.out) == (0, "2 new\n")
    assert (again.out, single.out) == ("0 new\n", "1 new\n")
    assert bad.code == 1
    assert "/0/content: is required" in bad.err
    assert "80.0 crypto" in heard
    assert "[BTC]" in heard


async def test_token_command_signs_a_usable_token() -> None:
    environment = {"NEWS_JWT_SECRET": SECRET}

    async def signed(*scope: str) -> dict[str, str]:
        command = await run_command("token", "--user", "wire", *scope, environment=environment)
        assert (command.code, command.err) == (0, "")
        return {"NEWS_TOKEN": command.out.strip()}

    ndjson = json.dumps(raw(1)).encode()
    async with server_process("--database", ":memory:", environment=environment) as running:
        url = running.server.url
        may_publish, may_not = await asyncio.gather(signed("--scope", "news:publish"), signed())
        taken, refused, another = await asyncio.gather(
            run_command("publish", "-", "--server", url, stdin=ndjson, environment=may_publish),
            run_command("publish", "-", "--server", url, stdin=ndjson, environment=may_not),
            run_command("listen", "--user", "bob", "--server", url, environment=may_not),
        )
    limited, without_a_secret, for_too_long, unknown = await asyncio.gather(
        signed("--ent", '{"categories": ["crypto"]}'),
        run_command("token", "--user", "wire"),
        run_command("token", "--user", "wire", "--hours", "25", environment=environment),
        run_command("token", "--user", "wire", "--ent", '{"cats": []}', environment=environment),
    )

    assert (taken.code, taken.out) == (0, "1 new\n")
    assert (refused.code, another.code) == (1, 1)
    assert "403 The token must have the scope news:publish" in refused.err
    assert "403" in another.err
    claims = jwt.decode(limited["NEWS_TOKEN"], SECRET, algorithms=["HS256"])
    assert claims["ent"] == {"categories": ["crypto"]}
    assert (without_a_secret.code, for_too_long.code, unknown.code) == (2, 2, 2)
    assert "/ent/cats" in unknown.err
    assert "NEWS_JWT_SECRET" in without_a_secret.err
    assert "must be above 0 and at most 24" in for_too_long.err


async def test_listen_resumes_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    start = ("--port", str(port), "--database", str(tmp_path / "news.db"))
    address = f"http://127.0.0.1:{port}"
    async with server_process(*start) as running:
        listener = await spawn("listen", "--user", "me", "--min-impact", "0", "--server", address)
        assert listener.stdout is not None
        while not await running.server.metric("news_connections"):
            await asyncio.sleep(0.02)
        await running.server.publish(raw(1))
        heard = [await soon(listener.stdout.readline())]
        await running.end()
    # Published before the listener is back, and after.
    async with server_process(*start) as running:
        await running.server.publish(raw(2), raw(3))
        heard += [await soon(listener.stdout.readline()) for _ in range(2)]
        await running.server.publish(raw(4))
        heard.append(await soon(listener.stdout.readline()))
        listener.send_signal(signal.SIGINT)
        await listener.wait()

    assert [line.decode().split("Story ")[1][0] for line in heard] == ["1", "2", "3", "4"]


async def test_listen_stops_when_refused(tmp_path: Path) -> None:
    async with server_process("--database", ":memory:") as running:
        refused = await run_command("listen", "--user", "a b", "--server", running.server.url)

        unknown = await run_command("listen", "--user", "a", "--category", "cryto", "--server", running.server.url)

    assert refused.code == unknown.code == 1
    assert "400" in refused.err
    assert unknown.err.startswith(
        "polyfloat-news: 422 filters: Invalid filters\n  filters/categories/0: must be one of politics, "
    )


async def test_listen_says_why_it_tries_again() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    listener = await spawn("listen", "--user", "a", "--server", address)
    assert listener.stderr is not None

    said = (await soon(listener.stderr.readline())).decode()
    listener.send_signal(signal.SIGINT)
    await listener.wait()

    url = address.replace("http", "ws")
    assert said == f"polyfloat-news: cannot reach {url}/ws/news: Connection refused; trying again\n"


@pytest.mark.parametrize("command", [("listen", "--user", "a"), ("publish", "/nowhere/items.ndjson")])
@pytest.mark.parametrize("address", ["foo", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999"])
async def test_bad_server_address_is_refused(command: tuple[str, ...], address: str) -> None:
    by_option, by_variable = await asyncio.gather(
        run_command(*command, "--server", address), run_command(*command, environment={"NEWS_URL": address})
    )

    assert by_option.code == by_variable.code == 2
    assert f"--server or NEWS_URL: {address!r} must be an http or https address" in by_option.err
    assert by_option.err == by_variable.err


async def test_secret_may_be_a_file_but_no_argument(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="ascii")
    from_file = {"NEWS_JWT_SECRET_FILE": str(tmp_path / "secret")}

    as_argument, signed, twice, missing = await asyncio.gather(
        run_command("serve", "--jwt-secret", SECRET),
        run_command("token", "--user", "alice", environment=from_file),
        run_command("serve", environment=from_file | {"NEWS_JWT_SECRET": SECRET}),
        run_command("serve", "--jwt-secret-file", "/nowhere/secret"),
    )

    assert (as_argument.code, twice.code, missing.code, signed.code) == (2, 2, 2, 0)
    assert jwt.decode(signed.out.strip(), SECRET, algorithms=["HS256"])["sub"] == "alice"
    assert "because NEWS_JWT_SECRET is set" in twice.err
    assert "NEWS_JWT_SECRET_FILE='/nowhere/secret': must be a readable text file" in missing.err
    assert SECRET not in "".join((as_argument.out, twice.err, missing.err))


async def test_database_files_are_private(tmp_path: Path) -> None:
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        await running.server.publish(raw(1))
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        await running.end()

    assert set(modes) >= {"news.db", "news.db-wal", "news.db-shm", "news.db.lock", "news.db.ballast"}
    assert {name: oct(mode) for name, mode in modes.items() if name != "news.db.ballast" and mode != 0o600} == {}


async def test_token_command_names_what_is_wrong() -> None:
    environment = {"NEWS_JWT_SECRET": SECRET}
    bad_user, bad_json, short = await asyncio.gather(
        run_command("token", "--user", "a b", environment=environment),
        run_command("token", "--user", "a", "--ent", "{", environment=environment),
        run_command("token", "--user", "a", environment={"NEWS_JWT_SECRET": "short"}),
    )

    assert bad_user.code == bad_json.code == short.code == 2
    assert "--user 'a b': must be a user id" in bad_user.err
    assert "--ent: Invalid JSON: JSON is malformed: it ends too early" in bad_json.err
    assert "NEWS_JWT_SECRET=…: must have at least 32 bytes" in short.err


async def test_publish_reports_a_missing_file() -> None:
    finished = await run_command("publish", "/nowhere/items.ndjson")

    assert finished.code == 1
    assert "/nowhere/items.ndjson" in finished.err


BAD_SETTINGS = [
    ({"NEWS_PORT": "x"}, "NEWS_PORT='x': must be an integer between 0 and 65535"),
    ({"NEWS_HOST": "0.0.0.0"}, "NEWS_HOST='0.0.0.0': must be a loopback address"),
    ({"NEWS_JWT_SECRET": "secret"}, "NEWS_JWT_SECRET"),
    ({"NEWS_ENGINE": "nats"}, "NEWS_ENGINE='nats': must be sqlite"),
    ({"NEWS_FEEDS": "/nowhere.toml"}, "NEWS_FEEDS='/nowhere.toml': must be a readable TOML file"),
]


@pytest.mark.parametrize(("environment", "part"), BAD_SETTINGS)
async def test_invalid_setting_stops_the_start(tmp_path: Path, environment: dict[str, str], part: str) -> None:
    finished = await run_command("serve", "--database", str(tmp_path / "news.db"), environment=environment)

    assert finished.code == 2
    assert part in finished.err
    assert "Traceback" not in finished.err


async def test_corrupt_database_exits_with_3(tmp_path: Path) -> None:
    path = tmp_path / "news.db"
    path.write_bytes(os.urandom(8192))

    finished = await run_command("serve", "--database", str(path))

    assert finished.code == 3
    assert str(path) in finished.err


async def test_unusable_database_path_is_reported(tmp_path: Path) -> None:
    finished = await run_command("serve", "--database", str(tmp_path / "nowhere" / "news.db"))

    assert finished.code == 1
    assert "NEWS_DATABASE=" in finished.err
    assert "Traceback" not in finished.err


async def test_used_port_is_reported_without_hanging(tmp_path: Path) -> None:
    async with server_process("--database", ":memory:") as running:
        port = running.server.url.rsplit(":", 1)[1]

        finished = await run_command("serve", "--port", port, "--database", str(tmp_path / "news.db"))

    assert finished.code == 1
    assert "in use" in finished.err
    assert "Traceback" not in finished.err


async def test_effective_settings_can_be_printed() -> None:
    finished = await run_command(
        "serve", "--print-config", "--sample-wire", "--port", "9000", environment={"NEWS_PORT": "8500"}
    )

    assert finished.code == 0
    assert "NEWS_PORT=9000\n" in finished.out
    assert "NEWS_SAMPLE_WIRE=1\n" in finished.out


async def test_sample_wire_plays_without_a_network(tmp_path: Path) -> None:
    async with server_process("--database", ":memory:", "--sample-wire") as running:
        async with connect(f"{running.server.ws_url}?user_id=u") as socket:
            message = json.loads(await soon(socket.recv()))

    assert (message["type"], message["data"]["tags"]) == ("news_item", ["sample"])


async def test_sample_news_are_never_mixed_with_others(tmp_path: Path) -> None:
    real, samples = str(tmp_path / "real.db"), str(tmp_path / "samples.db")
    async with server_process("--database", real) as running:
        await running.server.publish(raw(1))
    async with server_process("--database", samples, "--sample-wire") as running:
        async with within():
            while (await running.server.get("/api/v1/stats"))["seq"] == 0:
                await asyncio.sleep(0.05)

    with_wire = await run_command("serve", "--port", "0", "--database", real, "--sample-wire")
    without = await run_command("serve", "--port", "0", "--database", samples)

    assert (with_wire.code, without.code) == (2, 2)
    assert "holds news that are no samples: NEWS_SAMPLE_WIRE must be 0" in with_wire.err
    assert "holds sample news: NEWS_SAMPLE_WIRE must be 1" in without.err
    async with server_process("--database", samples, "--sample-wire"):
        pass


async def test_sample_wire_has_its_own_database() -> None:
    with_wire = await run_command("serve", "--print-config", "--sample-wire")
    named = await run_command("serve", "--print-config", "--sample-wire", "--database", "mine.db")
    without = await run_command("serve", "--print-config")

    assert "NEWS_DATABASE=mine.db\n" in named.out
    assert "NEWS_DATABASE=sample.db\n" in with_wire.out
    assert "NEWS_DATABASE=news.db\n" in without.out


async def test_original_database_opens_and_filters(tmp_path: Path) -> None:
    path = tmp_path / "news_api.db"
    with closing(sqlite3.connect(path)) as original:
        original.executescript(
            """
            CREATE TABLE user_subscriptions (
                user_id TEXT PRIMARY KEY, nitter_accounts TEXT, rss_feeds TEXT, categories TEXT, keywords TEXT,
                impact_threshold INTEGER DEFAULT 70, alert_channels TEXT, created_at REAL, updated_at REAL
            );
            INSERT INTO user_subscriptions VALUES ('old', '[]', '[]', '["crypto"]', '[]', 10, '["terminal"]', 1, 1);
            """
        )

    async with server_process("--database", str(path)) as running:
        async with connect(f"{running.server.ws_url}?user_id=old") as socket:
            await running.server.publish(raw(1, category="sports"), raw(2, category="crypto", impact_score=20))
            message = json.loads(await soon(socket.recv()))

    assert message["data"]["title"] == "Story 2"
