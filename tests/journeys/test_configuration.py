"""The configuration is checked before a start, and read again at SIGHUP."""

import asyncio
import json
import os
import pty
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.process import ROOT, Finished, run_command, spawn
from tests.support.time_limits import soon

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]

FEED = '[[feed]]\nurl = "http://127.0.0.1:9/{name}"\nevery_s = 3600\n'


async def check(*arguments: str) -> Finished:
    return await run_command("config", "check", *arguments)


async def test_valid_configuration_is_confirmed(tmp_path: Path) -> None:
    file, feeds = tmp_path / "news.toml", tmp_path / "feeds.toml"
    feeds.write_text(FEED.format(name="a"))
    file.write_text(f'feeds = "{feeds}"\ndatabase = "{tmp_path / "news.db"}"')

    done = await check("--config", str(file))

    assert (done.code, done.out, done.err) == (0, f"{file} is valid\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feeds.toml", "news.toml"]


async def test_everything_that_settings_name_is_checked(tmp_path: Path) -> None:
    broken, text = tmp_path / "feeds.toml", tmp_path / "text.db"
    broken.write_text("[[feed]]\nulr = 1")
    text.write_text("no database" * 100)
    missing = str(tmp_path / "missing" / "news.db")

    assert await said("--feeds", str(broken)) == (2, "url: is required")
    assert await said("--feeds", str(tmp_path / "none.toml")) == (2, "NEWS_FEEDS")
    assert await said("--database", str(text)) == (3, "is not a database")
    assert await said("--database", missing) == (2, "existing folder")
    assert await said("--jwt-public-key", str(text)) == (2, "NEWS_JWT_PUBLIC_KEY")
    assert await said("--host", "no.such.host.invalid", "--allow-anonymous") == (1, "NEWS_HOST")
    assert await said("--port", "x") == (2, "NEWS_PORT")
    assert await said("--port", "0", "--print-config", "--feeds", str(broken), command=("serve",)) == (
        2,
        "url: is required",
    )


async def said(*arguments: str, command: tuple[str, ...] = ("config", "check")) -> tuple[int, str]:
    """Run a check; return its exit code and the expected word that its message has."""
    done = await run_command(*command, *arguments)
    words = (
        "url: is required",
        "NEWS_FEEDS",
        "is not a database",
        "existing folder",
        "NEWS_JWT_PUBLIC_KEY",
        "NEWS_HOST",
        "NEWS_PORT",
    )
    return done.code, next((word for word in words if word in done.err), done.err)


async def lines_until(process: asyncio.subprocess.Process, event: str) -> list[dict[str, Any]]:
    assert process.stderr is not None
    lines: list[dict[str, Any]] = []
    while not lines or lines[-1]["event"] != event:
        lines.append(json.loads(await soon(process.stderr.readline())))
    return lines


async def test_hangup_reads_feeds_and_settings_again(tmp_path: Path) -> None:
    file, feeds = tmp_path / "news.toml", tmp_path / "feeds.toml"
    feeds.write_text(FEED.format(name="a"))
    file.write_text(f'feeds = "{feeds}"\nheartbeat_s = 15')
    process = await spawn("serve", "--config", str(file), "--database", ":memory:", "--port", "0")
    [address] = (await lines_until(process, "serving"))[-1]["addresses"]
    async with aiohttp.ClientSession() as http:
        totals = [await feeds_of(http, address)]
        feeds.write_text(FEED.format(name="a") + FEED.format(name="b") + FEED.format(name="c"))
        file.write_text(f'feeds = "{feeds}"\nheartbeat_s = 16')
        process.send_signal(signal.SIGHUP)
        lines = await lines_until(process, "reloaded")
        totals.append(await feeds_of(http, address))

        failed = []
        for wrong in ("[[feed]]\nulr = 1", "="):
            feeds.write_text(wrong)
            process.send_signal(signal.SIGHUP)
            failed.append((await lines_until(process, "reload_failed"))[-1]["detail"])
        totals.append(await feeds_of(http, address))
        feeds.write_text("")
        process.send_signal(signal.SIGHUP)
        await lines_until(process, "reloaded")
        totals.append(await feeds_of(http, address))
    process.terminate()
    await lines_until(process, "drained")

    assert (totals, await soon(process.wait())) == ([1, 3, 3, 0], 0)
    assert [line["settings"] for line in lines if line["event"] == "restart_needed"] == [["NEWS_HEARTBEAT_S"]]
    assert all(str(feeds) in detail for detail in failed)


async def feeds_of(http: aiohttp.ClientSession, address: str) -> int:
    async with http.get(f"{address}/api/v1/stats") as answer:
        return int((await answer.json())["rss_feeds"]["total"])


async def test_hangup_of_the_terminal_shuts_down() -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "serve", "--port", "0", "--database", ":memory:"),
        cwd=ROOT,
        stdin=theirs,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(theirs)
    await lines_until(process, "serving")
    process.send_signal(signal.SIGHUP)
    lines = await lines_until(process, "drained")
    code = await soon(process.wait())
    os.close(ours)

    assert code == 0
    assert "draining" in {line["event"] for line in lines}
