"""docker-compose.yml without Docker: valid, closed to other hosts, and its commands start with its configuration.

Debian's Prometheus and Alertmanager replace the images, this interpreter the Dockerfile's.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.support.dashboards import tool
from tests.support.process import spawn
from tests.support.report import note
from tests.support.time_limits import within
from tests.support.watchers import free_port, program

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
RULES = sum((ROOT / "grafana/rules" / name).read_text().count("  expr:") for name in ("alerts.yml", "recording.yml"))


def test_file_is_valid_compose() -> None:
    checked = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema"),
            *("vendor.compose-spec", str(ROOT / "docker-compose.yml")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout
    note("compose", "docker-compose.yml", "valid by the compose specification's schema")


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_pinned_checked_and_closed(name: str) -> None:
    service = SERVICES[name]

    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert not [key for key in service.get("environment", {}) if "PASSWORD" in key or "SECRET" in key]


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_exist(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_image_is_locked_and_unprivileged() -> None:
    locked, runtime = (
        set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements.runtime.lock")
    )
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert runtime
    assert runtime - locked == set()
    assert set(stages) == {"python:3.11-slim-bookworm"}
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert '"python", "-P", "-m", "app"' in DOCKERFILE


def image_environment() -> dict[str, str]:
    """Return the variables that the Dockerfile sets."""
    [block] = re.findall(r"^ENV ((?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    pairs = (pair.partition("=") for pair in block.replace("\\\n", " ").split())
    return {key: value for key, _, value in pairs if key.startswith("NEWS_") and not value.startswith("$")}


def compose_environment(name: str) -> dict[str, str]:
    """Return the variables that docker-compose.yml sets, without the user's environment."""
    given = SERVICES[name].get("environment", {})
    return {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for key, value in given.items()}


def placed(name: str, folder: Path, addresses: dict[str, str]) -> list[str]:
    """Copy a service's files below a folder, and return its arguments with paths and addresses of this machine."""
    for volume in SERVICES[name]["volumes"]:
        source, target, *_ = volume.split(":")
        place = folder / target.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if not source.startswith("."):
            place.mkdir(exist_ok=True)
        elif (ROOT / source).is_dir():
            place.symlink_to(ROOT / source)
        else:
            place.write_text(translated((ROOT / source).read_text(), addresses))
    command = (translated(argument, addresses) for argument in SERVICES[name]["command"])
    return [re.sub(r"=/", f"={folder}/", argument) for argument in command]


def translated(text: str, addresses: dict[str, str]) -> str:
    for name, address in addresses.items():
        text = text.replace(name, address)
    return text


@asynccontextmanager
async def news(folder: Path, port: int, metrics_port: int) -> AsyncIterator[None]:
    """Run the server with the environment of the image and of compose, on local ports and in a local folder."""
    here = {"NEWS_HOST": "127.0.0.1", "NEWS_PORT": str(port), "NEWS_METRICS_PORT": str(metrics_port)}
    database = {"NEWS_DATABASE": str(folder / "news.db")}
    environment = image_environment() | compose_environment("news") | here | database
    process = await spawn("serve", environment=environment)
    try:
        yield
    finally:
        process.terminate()
        await process.communicate()


async def answer(http: aiohttp.ClientSession, url: str) -> Any:
    """Repeat a request until it is answered, with JSON or nothing."""
    while True:
        try:
            async with http.get(url) as given:
                if given.ok:
                    return json.loads(await given.read() or b"null") if "/api/" in url else None
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.2)


@pytest.mark.prometheus
@pytest.mark.time_limit(60)
async def test_same_commands_and_configuration_run_here(tmp_path: Path) -> None:
    port, metrics_port, prometheus_port, manager_port = (free_port() for _ in range(4))
    addresses = {
        "news:9100": f"127.0.0.1:{metrics_port}",
        "alertmanager:9093": f"127.0.0.1:{manager_port}",
        "0.0.0.0:9090": f"127.0.0.1:{prometheus_port}",
        "0.0.0.0:9093": f"127.0.0.1:{manager_port}",
        "15s": "1s",
    }
    watcher = (tool("prometheus"), *placed("prometheus", tmp_path / "prometheus", addresses))
    manager = (tool("prometheus-alertmanager"), *placed("alertmanager", tmp_path / "alertmanager", addresses))
    async with (
        news(tmp_path, port, metrics_port),
        program(*manager),
        program(*watcher),
        aiohttp.ClientSession() as http,
        within(),
    ):
        api = f"http://127.0.0.1:{prometheus_port}/api/v1"
        await answer(http, f"http://127.0.0.1:{port}/readyz")
        await answer(http, f"http://127.0.0.1:{manager_port}/-/ready")
        await answer(http, f"http://127.0.0.1:{prometheus_port}/-/ready")
        while True:
            targets = (await answer(http, f"{api}/targets"))["data"]["activeTargets"]
            managers = (await answer(http, f"{api}/alertmanagers"))["data"]["activeAlertmanagers"]
            if managers and [target["health"] for target in targets] == ["up"]:
                break
            await asyncio.sleep(0.2)
        groups = (await answer(http, f"{api}/rules"))["data"]["groups"]
        healthcheck = SERVICES["news"]["healthcheck"]["test"]
        command = [sys.executable, *healthcheck[2:]]
        probe = await asyncio.create_subprocess_exec(*(part.replace("8000", str(port)) for part in command))
        healthy = await probe.wait()

    assert sum(len(group["rules"]) for group in groups) == RULES
    assert healthy == 0
    note("compose", "the services' commands and files", "start with Debian's binaries; target up, rules loaded")
