"""The server as its users run it: a process of its own, started by the command line."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.support.server import RunningServer
from tests.support.time_limits import soon

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """Return a port that a server can use again after it was killed."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Finished(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


async def spawn(
    *arguments: str, environment: Mapping[str, str] = {}, module: str = "app", root: Path = ROOT
) -> asyncio.subprocess.Process:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NEWS_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=root,
        env={**clean, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_command(*arguments: str, stdin: bytes = b"", environment: Mapping[str, str] = {}) -> Finished:
    """Run a command to its end."""
    process = await spawn(*arguments, environment=environment)
    out, err = await soon(process.communicate(stdin))
    return Finished(process.returncode or 0, out.decode(), err.decode())


class ServerProcess(NamedTuple):
    """A running server and its process."""

    server: RunningServer
    process: asyncio.subprocess.Process

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return await soon(self.process.wait())


@asynccontextmanager
async def server_process(
    *arguments: str, module: str = "app", environment: Mapping[str, str] = {}, root: Path = ROOT
) -> AsyncIterator[ServerProcess]:
    """Start a server, on a free port unless one is given, and end it by its own pid if the test has not."""
    process = await spawn("serve", "--port", "0", *arguments, module=module, environment=environment, root=root)
    assert process.stderr is not None
    address = ""
    while not address:
        line = await soon(process.stderr.readline())
        assert line, "the server ended before it served"
        event = json.loads(line)
        if event["event"] == "serving":
            [address] = event["addresses"]
    # The server's log must not fill the pipe and block it.
    drain = asyncio.create_task(_swallow(process.stderr))
    async with aiohttp.ClientSession() as http:
        try:
            yield ServerProcess(RunningServer(address, http, asyncio.Event()), process)
        finally:
            drain.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _swallow(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass
