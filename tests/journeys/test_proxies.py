"""The configurations of docs/deployment.md, with the real proxies, and the service manager's notification."""

import asyncio
import json
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from app.adapters.system.service_manager import notify
from tests.support.items import raw
from tests.support.process import ROOT, free_port, server_process, spawn
from tests.support.time_limits import soon, within

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]

DOCUMENT = (ROOT / "docs" / "deployment.md").read_text()


def documented(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1]


def nginx(folder: Path, port: int, server_port: int) -> list[str]:
    """Write the documented configuration with local ports, and return the arguments for it."""
    site = documented("nginx").replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    site = site.replace("127.0.0.1:8000", f"127.0.0.1:{server_port}")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off;\n{paths}{site}}}\n"
    )
    return ["-p", str(folder), "-c", str(file)]


def haproxy(folder: Path, port: int, server_port: int, options: str = "") -> list[str]:
    text = documented("haproxy").replace("bind :443 ssl crt /etc/haproxy/news.pem", f"bind 127.0.0.1:{port}")
    file = folder / "haproxy.cfg"
    file.write_text(text.replace("127.0.0.1:8000 check", f"127.0.0.1:{server_port}{options}"))
    return ["-db", "-f", str(file)]


@asynccontextmanager
async def proxied(name: str, folder: Path, server_port: int, *options: str) -> AsyncIterator[str]:
    """Run a proxy in front of the server, and yield its address."""
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing")
        pytest.skip(f"{name} is missing: apt-get install {name}")
    port = free_port()
    arguments = nginx(folder, port, server_port) if name == "nginx" else haproxy(folder, port, server_port, *options)
    process = await asyncio.create_subprocess_exec(program, *arguments, stderr=asyncio.subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_documented_proxy_serves_sockets_and_rest(name: str, tmp_path: Path) -> None:
    arguments = ("--database", ":memory:", "--trusted-proxies", "127.0.0.1", "--allowed-hosts", "news.example")
    async with server_process(*arguments) as running, aiohttp.ClientSession(headers={"Host": "news.example"}) as http:
        async with proxied(name, tmp_path, int(running.server.url.rpartition(":")[2])) as address:
            async with within():
                while True:
                    with suppress(aiohttp.ClientError):
                        async with http.get(f"{address}/readyz") as answer:
                            if answer.status == 200:
                                break
                    await asyncio.sleep(0.05)
            headers = {"X-Forwarded-For": "203.0.113.9", "Origin": "http://news.example"}
            url = f"{address}/ws/news?user_id=u&v=2"
            async with http.ws_connect(url, headers=headers) as client, within():
                welcome = await client.receive_json()
                async with http.post(f"{address}/api/v1/news", json=raw(1)) as answer:
                    assert answer.status == 202
                item = await client.receive_json()
                async with http.get(f"{address}/api/v1/connections") as answer:
                    [shown] = (await answer.json())["connections"]
            async with http.get(f"{address}/api/v1/news?nonsense=1") as answer:
                problem = await answer.json(content_type=None)

    assert (welcome["type"], item["type"], shown["address"]) == ("welcome", "news_item", "203.0.113.9")
    assert (answer.status, problem["code"]) == (400, "invalid_parameter")


async def test_haproxy_names_the_client_by_proxy_protocol(tmp_path: Path) -> None:
    arguments = ("--database", ":memory:", "--trusted-proxies", "127.0.0.1", "--proxy-header", "proxy-protocol")
    async with server_process(*arguments) as running, aiohttp.ClientSession() as http:
        async with proxied(
            "haproxy", tmp_path, int(running.server.url.rpartition(":")[2]), " send-proxy-v2"
        ) as address:
            async with within():
                while True:
                    with suppress(aiohttp.ClientError, OSError):
                        headers = {"X-Forwarded-For": "203.0.113.9"}
                        async with http.ws_connect(f"{address}/ws/news?user_id=u&v=2", headers=headers) as client:
                            welcome = await client.receive_json()
                            async with http.get(f"{running.server.url}/api/v1/connections") as answer:
                                [shown] = (await answer.json())["connections"]
                            break
                    await asyncio.sleep(0.05)

    # The header is not trusted; the proxy was called from this machine.
    assert (welcome["type"], shown["address"]) == ("welcome", "127.0.0.1")


@pytest.mark.parametrize("kind", ["file", "abstract"])
async def test_service_manager_hears_ready_and_stopping(kind: str, tmp_path: Path) -> None:
    name = str(tmp_path / "notify") if kind == "file" else f"@polyfloat-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.setblocking(False)
        loop = asyncio.get_running_loop()
        process = await spawn(*("serve", "--port", "0", "--database", ":memory:"), environment={"NOTIFY_SOCKET": name})
        ready = await soon(loop.sock_recv(manager, 100))
        process.terminate()
        stopping = await soon(loop.sock_recv(manager, 100))
        _, err = await soon(process.communicate())

    assert (ready, stopping, process.returncode) == (b"READY=1", b"STOPPING=1", 0)
    assert json.loads(err.splitlines()[0])["event"] == "serving"


def test_missing_service_manager_is_ignored(tmp_path: Path) -> None:
    for name in ("", "relative", str(tmp_path / "nothing")):
        notify("READY=1", {"NOTIFY_SOCKET": name})
