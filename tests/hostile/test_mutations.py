"""Randomly changed frames and messages: no internal error, and nothing is left behind.

A hundred thousand with `make test`, a million with `make hostile`; the seed is always the same.
"""

import asyncio
import json
import os
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.adapters.http.websocket.link import SocketLink
from app.core.access.identity import ANONYMOUS
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.connections.connect import ConnectRequest
from app.flows.delivery.channel import Channel
from app.flows.delivery.peer import NO_PEER
from app.flows.delivery.session import Session, client_options
from tests.support.harness import Harness
from tests.support.sockets import masked

COUNT = 1_000_000 if os.environ.get("HOSTILE") == "long" else 100_000
FRAMES_A_CONNECTION = 5
SEED = 20_261_127
GROWN_BYTES = 32 * 1024 * 1024

SAID = [
    {"type": "ping", "t": 1.5, "id": 1},
    {"type": "subscribe", "filters": {"impact_threshold": 50, "keywords": ["fed*", "利下げ"]}},
    {"type": "subscribe", "id": 0, "filters": {"exclude": {"tickers": ["$X"]}, "rss_feeds": ["bbc"]}},
    {"type": "subscribe", "id": 2, "channel": "btc", "filters": {"categories": ["crypto"]}, "persist": False},
    {"type": "subscribe", "id": "s", "channel": "btc", "since": {"last": 20}},
    {"type": "unsubscribe", "id": 3, "channel": "btc", "forget": True},
    {"type": "list", "id": 4},
    {"type": "ack", "seq": 1, "id": 5},
    {"type": "explain", "id": 6, "item": "item-1"},
    {"type": "refresh", "id": 7, "token": "a.b.c"},
    {"type": "auth", "token": "a.b.c"},
]
TEXT, BINARY, CLOSE, PING, PONG, FIRST, MORE, LAST, DEFLATED = 0x81, 0x82, 0x88, 0x89, 0x8A, 0x01, 0x00, 0x80, 0xC1
CORPUS = [
    *(masked(TEXT, json.dumps(message).encode()) for message in SAID),
    masked(PING, b"are you there"),
    masked(PONG, b""),
    masked(FIRST, b'{"type":') + masked(MORE, b'"pi') + masked(PING, b"") + masked(LAST, b'ng"}'),
    masked(CLOSE, struct.pack("!H", 1000) + b"bye"),
    masked(BINARY, b"\x00\xff"),
    masked(DEFLATED, b"\xaaV*\xa9,HU\xb2R*\xc8\xccKW\xaa\x05\x00"),
    masked(TEXT, b"[" * 200),
    masked(TEXT, b'{"type":"ping","t":1e999,"x":"\\ud800"}'),
]

pytestmark = [pytest.mark.load, pytest.mark.time_limit(900)]


class Transport:
    """Accepts everything and sends nothing."""

    def __init__(self, nowhere: socket.socket) -> None:
        self.is_over = False
        self._nowhere = nowhere

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...
    def write(self, data: bytes) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _name: str) -> socket.socket:
        return self._nowhere

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        self.is_over = True

    abort = close


def mutated(chance: random.Random) -> bytes:
    """Change a frame of the corpus, or a message inside a valid frame."""
    if chance.random() < 0.15:
        return changed(chance.choice(CORPUS), chance)
    said = changed(json.dumps(chance.choice(SAID), ensure_ascii=False).encode(), chance)
    # Bytes that are not text end a connection, and what follows would not be read.
    return masked(TEXT, said.decode(errors="replace").encode())


def changed(given: bytes, chance: random.Random) -> bytes:
    """Flip bits, remove, repeat or insert bytes, or append the end of another frame; or change nothing."""
    data = bytearray(given)
    for _ in range(chance.randint(0, 3)):
        place, size = chance.randrange(len(data) + 1), chance.randint(1, 8)
        match chance.randrange(5):
            case 0 if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                del data[place : place + size]
            case 2:
                data[place:place] = data[place : place + size]
            case 3:
                data[place:place] = chance.randbytes(size)
            case _:
                data[place:] = chance.choice(CORPUS)[-size:]
    return bytes(data)


def chunks(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Split data as a network might."""
    while data:
        size = chance.choice((1, 7, 100, len(data)))
        yield data[:size]
        data = data[size:]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_answering(session: Session) -> bool:
    return session.inbox is not None and session.inbox.is_answering


async def converse(harness: Harness, nowhere: socket.socket, chance: random.Random) -> None:
    """Open a connection, send random changes of the corpus, and drop the connection."""
    window_bits = chance.choice((0, 12))
    uses_acks = chance.random() < 0.3
    request = ConnectRequest("u", "d", (Channel("default"),), options=client_options(True, uses_acks, window_bits))
    session = await harness.clients.connect.admit(request, ANONYMOUS, NO_PEER)
    transport: Any = Transport(nowhere)
    link = SocketLink(transport, session, harness.clients.dispatcher, harness.limits.messages.max_bytes)
    link.open()
    for chunk in chunks(b"".join(mutated(chance) for _ in range(FRAMES_A_CONNECTION)), chance):
        link.data_received(chunk)
        if is_answering(session):
            await asyncio.sleep(0)
    while is_answering(session):
        await asyncio.sleep(0)
    link.connection_lost(None)


async def test_mutated_bytes_cause_no_internal_error() -> None:
    chance = random.Random(SEED)
    # Rate limits must not keep messages out of this test.
    harness = Harness(
        Limits().with_values(
            {
                "messages.rate_per_s": 1e9,
                "messages.burst": 10**9,
                "messages.max_invalid_per_min": 1e9,
                "filters.max_changes_per_min": 1e9,
            }
        )
    )
    await harness.publish(3)
    before = 0
    with structlog.testing.capture_logs() as lines, socket.socket() as nowhere:
        for number in range(COUNT // FRAMES_A_CONNECTION):
            await converse(harness, nowhere, chance)
            if number == COUNT // FRAMES_A_CONNECTION // 5:
                before = resident_bytes()
            failed = [line for line in lines if line["log_level"] not in ("info", "warning")]
            assert failed == []
            lines.clear()
    grown = resident_bytes() - before
    endings = {ending for ending, times in harness.stats.connections.closed.items() if times}
    understood, refused = (
        sum(harness.stats.connections.inbound.values()),
        sum(harness.stats.connections.invalid.values()),
    )
    print(  # noqa: T201 - the table of `make hostile`
        f"\nrandom changes  {COUNT:,} frames (seed {SEED}): {understood:,} messages understood,"
        f" {refused:,} refused, {sum(harness.stats.connections.closed.values()):,} connections, 0 failures;"
        f" memory {grown / 1e6:+.1f} MB"
    )

    assert {
        DisconnectReason.PROTOCOL_ERROR,
        DisconnectReason.CLIENT,
        DisconnectReason.INVALID_UTF8,
        DisconnectReason.NETWORK,
    } <= endings
    assert DisconnectReason.INTERNAL_ERROR not in endings
    assert understood + refused > COUNT / 4
    assert (len(harness.manager), len(harness.live.index), harness.admission.users) == (0, 0, 0)
    assert grown < GROWN_BYTES
