"""Clients that are stopped (SIGSTOP), as a laptop with a closed lid."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.faults.stage import publish_for, scale
from tests.support.ledger import LAST, Ledger, wishes
from tests.support.process import ROOT, server_process
from tests.support.terminals import Terminal
from tests.support.time_limits import soon

pytestmark = [pytest.mark.process, pytest.mark.time_limit(600)]

CLIENTS = scale(2, 6)
STOPPED_S = scale(3, 45)
PER_S = 50


async def test_stopped_clients_continue_where_they_were(tmp_path: Path) -> None:
    ledger = Ledger(f"clients stopped for {STOPPED_S} s")
    total = STOPPED_S * PER_S + 1
    async with server_process("--database", str(tmp_path / "news.db")) as running:
        readers = [await start_reader(running.server.ws_url, number, total) for number in range(CLIENTS)]
        for reader in readers:
            assert reader.stdout is not None
            assert await soon(reader.stdout.readline()) == b"there\n"
            reader.send_signal(signal.SIGSTOP)
            ledger.fired += 1
        await publish_for(ledger, running.server, STOPPED_S, PER_S, content="x" * 12_000)
        for reader in readers:
            reader.send_signal(signal.SIGCONT)
        await ledger.publish(running.server, title=LAST, impact_score=100)
        told = [json.loads((await soon(reader.communicate()))[0]) for reader in readers]
        stored = await ledger.stored(running.server)

    async with aiohttp.ClientSession() as http:
        around = [Terminal(http, str, f"reader-{number}", wishes(number)) for number in range(CLIENTS)]
    for terminal, said in zip(around, told, strict=True):
        terminal.seqs, terminal.gaps = said["seqs"], said["gaps"]
    ledger.verdict(stored, around).check()


async def start_reader(address: str, number: int, until: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.reader", address, f"reader-{number}"),
        *(json.dumps(wishes(number)), str(until)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
