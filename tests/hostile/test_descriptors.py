"""An attacker who exhausts the file descriptors: connected clients get news, and the server recovers."""

import asyncio
import resource
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hostile.test_attacks import CALM_S, P99_S, published_to
from tests.support.crowd import join
from tests.support.process import server_process

DESCRIPTORS, ATTEMPTS = 200, 400
HELD_S = 2.0

pytestmark = [pytest.mark.process, pytest.mark.time_limit(120)]


async def test_exhausted_descriptors_do_not_stop_delivery(tmp_path: Path) -> None:
    async with server_process("--database", str(tmp_path / "news.db")) as process:
        server = process.server
        address = urlsplit(server.url)
        async with published_to(server) as public:
            await asyncio.sleep(CALM_S)
            before_ms = public.p99_ms()
            resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
            taken = [await asyncio.open_connection(address.hostname, address.port) for _ in range(ATTEMPTS)]
            await asyncio.sleep(HELD_S)
            refused = sum(reader.at_eof() or reader.exception() is not None for reader, _ in taken)
            during_ms = public.p99_ms()
            for _, writer in taken:
                writer.close()
            await asyncio.sleep(CALM_S)
            newcomer = await join(server.ws_url, "newcomer")
            newcomer.close()
    print(  # noqa: T201 - the table of `make hostile`
        f"\nevery descriptor         {ATTEMPTS} sockets for {DESCRIPTORS} descriptors, {refused} refused;"
        f" p99 of the others {before_ms:.1f} ms before, {during_ms:.1f} ms during"
    )

    assert refused > ATTEMPTS - DESCRIPTORS
    assert during_ms < P99_S * 1000
