"""Real monitoring on free ports: Debian's Prometheus and Alertmanager with our rules, and a webhook."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
import yaml
from aiohttp import web

from tests.support.dashboards import GRAFANA, tool

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?<![\w.])(\d+)([smhd])\b")


class Prometheus(NamedTuple):
    """A running Prometheus."""

    url: str
    http: aiohttp.ClientSession

    async def series(self, expression: str, since: float, until: float, step_s: float) -> list[dict[str, Any]]:
        """Evaluate a query over a time range (Unix seconds)."""
        parameters = urlencode({"query": expression, "start": since, "end": until, "step": step_s})
        async with self.http.get(f"{self.url}/api/v1/query_range?{parameters}") as answer:
            document = await answer.json()
        assert document["status"] == "success", (expression, document)
        result: list[dict[str, Any]] = document["data"]["result"]
        return result

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate a query over the last half minute and return the series that have any value."""
        now = time.time()
        series = await self.series(expression, now - 30, now, 5)
        return [one for one in series if any(value not in ("NaN", "+Inf", "-Inf") for _, value in one["values"])]

    async def families(self) -> set[str]:
        """Return every scraped family of the server's own."""
        async with self.http.get(f"{self.url}/api/v1/metadata") as answer:
            return {name for name in (await answer.json())["data"] if name.startswith("news_")}


class Webhook(NamedTuple):
    """Receives Alertmanager's calls and records them: (receiver, alert name, instance or nothing)."""

    url: str
    told: list[tuple[str, str, str]]

    async def wait_for(self, receiver: str, alert: str, within_s: float) -> None:
        """Wait until a receiver got an alert."""
        try:
            async with asyncio.timeout(within_s):
                while not any(told[:2] == (receiver, alert) for told in self.told):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(
                f"{receiver} was not told of {alert} within {within_s:g} s, but of {self.told}"
            ) from None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def hurried(text: str, times: float) -> str:
    """Divide every duration of rules or configuration by a factor, with a minimum of one second."""

    def shorten(found: re.Match[str]) -> str:
        return f"{max(round(float(found[1]) * _UNITS[found[2]] / times), 1)}s"

    return _DURATION.sub(shorten, text) if times != 1 else text


@asynccontextmanager
async def prometheus(
    folder: Path,
    targets: Sequence[str],
    *,
    alertmanager: str = "",
    interval_s: float = 1,
    hurry: float = 1,
    without: str = "",
) -> AsyncIterator[Prometheus]:
    """Run Prometheus with our rules against targets (`host:port`), and stop it; one metric may be dropped."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    for path in (GRAFANA / "rules").glob("*.yml"):
        (folder / path.name).write_text(hurried(path.read_text(), hurry))
    interval = f"{int(interval_s * 1000)}ms"
    config = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(folder / name) for name in ("recording.yml", "alerts.yml")],
        "scrape_configs": [
            {
                "job_name": "polyfloat-news",
                "static_configs": [{"targets": list(targets)}],
                "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": without, "action": "drop"}]
                if without
                else [],
            }
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []},
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    command = (
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        f"--rules.alert.resend-delay={hurried('1m', hurry)}",
    )
    async with program(*command), aiohttp.ClientSession() as http:
        yield Prometheus(f"http://127.0.0.1:{port}", http)


@asynccontextmanager
async def alertmanager(folder: Path, webhook: Webhook, *, hurry: float = 1) -> AsyncIterator[str]:
    """Run Alertmanager with our configuration, every receiver a path of the webhook; yield its address."""
    port = free_port()
    config = yaml.safe_load(hurried((GRAFANA / "alertmanager.yml").read_text(), hurry))
    for receiver in config["receivers"]:
        receiver["webhook_configs"] = [{"url": f"{webhook.url}/{receiver['name']}", "send_resolved": False}]
    path = folder / "alertmanager.yml"
    path.write_text(json.dumps(config))
    command = (
        tool("prometheus-alertmanager"),
        f"--config.file={path}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    async with program(*command):
        yield f"127.0.0.1:{port}"


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    """Listen for Alertmanager."""
    told: list[tuple[str, str, str]] = []

    async def take(request: web.Request) -> web.Response:
        for alert in (await request.json())["alerts"]:
            labels = alert["labels"]
            told.append((request.match_info["receiver"], labels["alertname"], labels.get("instance", "")))
        return web.Response()

    app = web.Application()
    app.router.add_post("/{receiver}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Webhook(f"http://127.0.0.1:{runner.addresses[0][1]}", told)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[None]:
    """Run a program until the context ends."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
        assert process.returncode is None, f"{command[0]} ended with {process.returncode}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
