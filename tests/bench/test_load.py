"""The load client of the benchmarks (bench/native/load.c) checks that every client gets exactly its items, in order."""

import asyncio
import json
import os
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol import frames
from tests.support.time_limits import soon

_SOURCE = Path(__file__).parents[2] / "bench" / "native" / "load.c"
_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n%b\r\n"
_DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"


def news(seq: int, mark: str = "pub_ns=1000") -> bytes:
    payload = {"type": "news_item", "seq": seq, "data": {"content": mark, "rest": "x" * 300}}
    return json.dumps(payload, separators=(",", ":")).encode()


def frame(seq: int, mark: str = "pub_ns=1000") -> bytes:
    return frames.text_frame(news(seq, mark))


def deflated(seq: int) -> bytes:
    """RFC 7692: RSV1 set, and the empty block at the end removed."""
    deflater = zlib.compressobj(wbits=-15)
    payload = (deflater.compress(news(seq)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    plain = frames.text_frame(payload)
    return bytes((plain[0] | 0x40,)) + plain[1:]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None or not Path("/usr/include/zlib.h").exists():
        assert not os.environ.get("CI"), "CI must have gcc and zlib"
        pytest.skip("gcc and zlib are needed to build the load client")
    program = tmp_path_factory.mktemp("bench") / "load"
    command = ("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(_SOURCE), "-lz")
    subprocess.run(command, check=True)
    return program


async def result_of(load: Path, frames: list[bytes], *options: str, is_closed: bool = False) -> dict[str, Any]:
    """Accept one client, send it these bytes, and return its report; it expects two items."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER % (_DEFLATE if b"permessage-deflate" in request else b""))
        for data in frames:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)
        if not is_closed:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wanted = ("-p", str(port), "-n", "1", "-e", "2", "-i", "0.2", "-t", "3", *options)
    crowd = await asyncio.create_subprocess_exec(str(load), *wanted, stdout=asyncio.subprocess.PIPE)
    out, _ = await soon(crowd.communicate())
    server.close()
    [line] = [line for line in out.decode().splitlines() if line.startswith("RESULT ")]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


WRONGS = ("wrong_clients", "disordered", "unstamped")


@pytest.mark.parametrize(
    ("frames", "wrong"),
    [
        ([frame(7), frame(8)], ()),
        ([frame(7) + frame(8)], ()),
        ([frame(7)[:1], frame(7)[1:100], frame(7)[100:] + frame(8)[:3], frame(8)[3:]], ()),
        ([frames.ping_frame(b"there?"), frame(7), frames.text_frame(b'{"type":"keep_alive","seq":7}'), frame(8)], ()),
        ([frame(7)], ("wrong_clients",)),
        ([frame(7) + frame(8) + frame(9)], ("wrong_clients",)),
        ([frame(8), frame(7)], ("disordered",)),
        ([frame(7), frame(7)], ("disordered",)),
        ([frame(7), frame(9)], ("disordered",)),
        ([frame(7), frame(8, "no stamp")], ("unstamped",)),
    ],
    ids="plain joined cut among-others missing one-too-many swapped doubled gap unstamped".split(),
)
async def test_client_errors_are_reported(load: Path, frames: list[bytes], wrong: tuple[str, ...]) -> None:
    result = await result_of(load, frames)

    assert {name for name in WRONGS if result[name]} == set(wrong)


async def test_bystander_that_gets_an_item_fails(load: Path) -> None:
    result = await result_of(load, [frame(1), frame(2)], "-x", "1")

    assert result["wrong_clients"]


async def test_disconnect_by_the_server_is_noticed(load: Path) -> None:
    result = await result_of(load, [frame(1)], is_closed=True)

    assert (result["closed"], result["wrong_clients"]) == (1, 1)


@pytest.mark.parametrize(("seqs", "disordered"), [((1, 2), 0), ((1, 3), 1)])
async def test_deflated_items_are_checked_for_order(load: Path, seqs: tuple[int, int], disordered: int) -> None:
    result = await result_of(load, [deflated(seq) for seq in seqs], "-d")

    assert (result["items"], result["disordered"]) == (2, disordered)
