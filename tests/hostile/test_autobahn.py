"""Autobahn's fuzzing client against the server's framing: no case is worse than with plain aiohttp.

It needs Python 2.7, so `make autobahn` builds it if pyenv has one. `make test` runs only some of its cases.
"""

import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.process import ROOT, free_port, spawn

WSTEST = ROOT / ".autobahn" / "suite" / "bin" / "wstest"
FRAMES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
DEFLATED = ["12.1.*", "12.4.*", "13.1.*", "13.3.*"]
CASES = FRAMES + DEFLATED if os.environ.get("HOSTILE") == "long" else ["1.*", "2.*", "3.*", "4.*", "5.*", "7.*"]
# From best to worst.
RANKS = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED"]

pytestmark = [pytest.mark.process, pytest.mark.time_limit(1_200)]


@asynccontextmanager
async def echoing(module: str) -> AsyncIterator[str]:
    """Run an echo server, and yield its address."""
    port = free_port()
    process = await spawn(str(port), module=module)
    try:
        for _ in range(200):
            with socket.socket() as knocking:
                if knocking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            await asyncio.sleep(0.05)
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@pytest.mark.skipif(not WSTEST.exists(), reason="Autobahn is not built: make autobahn, where pyenv has Python 2.7")
async def test_no_case_is_worse_than_plain_aiohttp(tmp_path: Path) -> None:
    async with echoing("tests.support.echo") as ours, echoing("tests.support.plain_echo") as plain:
        servers = [{"agent": "ours", "url": ours}, {"agent": "aiohttp", "url": plain}]
        spec = {"outdir": str(tmp_path), "servers": servers, "cases": CASES, "exclude-cases": []}
        (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="ascii")
        suite = await asyncio.create_subprocess_exec(
            *(str(WSTEST), "-m", "fuzzingclient", "-s", str(tmp_path / "spec.json")),
            cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await suite.wait() == 0

    found = json.loads((tmp_path / "index.json").read_text(encoding="ascii"))
    results = {agent: {case: worst(result) for case, result in found[agent].items()} for agent in found}
    for agent, cases in sorted(results.items()):
        counts = ", ".join(f"{rank} {count}" for rank, count in Counter(cases.values()).most_common())
        print(f"\nautobahn, {agent:8} {len(cases)} cases: {counts}")  # noqa: T201 - the table of `make hostile`
    assert len(results["ours"]) == len(results["aiohttp"]) > 100
    assert not [case for case, rank in results["ours"].items() if rank == "FAILED"]
    worse = {
        case for case, rank in results["ours"].items() if RANKS.index(rank) > RANKS.index(results["aiohttp"][case])
    }
    assert not worse


def worst(result: dict[str, str]) -> str:
    """Return the worse of a case's behavior and its close behavior."""
    return max(result["behavior"], result["behaviorClose"], key=RANKS.index)
