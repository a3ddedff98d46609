"""Counters against the truth that the clients of a scripted load record."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from app.core.protocol.close_codes import ADMITTED_REASONS, DisconnectReason
from tests.support.crowd import CountingClient, join
from tests.support.items import raw
from tests.support.process import server_process
from tests.support.report import note
from tests.support.server import RunningServer
from tests.support.sockets import masked

ROUNDS = 10
ITEMS = 48
CLIENTS = 300
PICKY = json.dumps({"impact_threshold": 50})
TEXT, BINARY, RESERVED, CLOSE, PING = 0x81, 0x82, 0x83, 0x88, 0x89
# How clients leave after a round, and the reason that the server must count for each.
WAYS: list[tuple[DisconnectReason, bytes]] = [
    (DisconnectReason.CLIENT, masked(CLOSE, (1000).to_bytes(2, "big"))),
    (DisconnectReason.CLIENT, masked(CLOSE, b"")),
    (DisconnectReason.GOING_AWAY, masked(CLOSE, (1001).to_bytes(2, "big"))),
    (DisconnectReason.NETWORK, b""),
    (DisconnectReason.UNSUPPORTED_DATA, masked(BINARY, b"x")),
    (DisconnectReason.PROTOCOL_ERROR, masked(RESERVED, b"x")),
    (DisconnectReason.INVALID_UTF8, masked(TEXT, b"\xff")),
    (DisconnectReason.MESSAGE_TOO_BIG, masked(TEXT, b"x" * 17_000)),
    (DisconnectReason.RATE_LIMITED, masked(PING, b"") * 70),
]


class Ledger:
    """What happened, as the clients and the publisher saw it."""

    def __init__(self) -> None:
        self.clients: list[CountingClient] = []
        self.gone: list[CountingClient] = []
        self.endings: Counter[DisconnectReason] = Counter()
        self.matched = self.rejected = self.items = 0

    @property
    def all_clients(self) -> list[CountingClient]:
        return self.clients + self.gone

    async def fill_up(self, server: RunningServer) -> None:
        """Reconnect every client, every other one with a filter, every third with compression; each sends a ping."""
        while len(self.clients) < CLIENTS:
            number = len(self.all_clients)
            query = {"filters": PICKY} if number % 2 else {}
            client = await join(server.ws_url, f"user-{number}", is_deflating=number % 3 == 0, **query)
            client.write(masked(TEXT, b'{"type":"ping"}'))
            self.clients.append(client)
            client.is_picky = bool(number % 2)

    def publishing(self) -> list[dict[str, object]]:
        """Return a round's items, half of which the filters reject, and add what they lead to."""
        picky = sum(client.is_picky for client in self.clients)
        self.items += ITEMS
        self.rejected += picky * ITEMS // 2
        self.matched += CLIENTS * ITEMS - picky * ITEMS // 2
        return [raw(self.items + number, impact_score=20 if number % 2 else 90) for number in range(ITEMS)]

    async def part(self, server: RunningServer) -> None:
        """Make one client leave in each way, and wait until the server has noticed."""
        for ending, last_bytes in WAYS:
            client = self.clients.pop(len(self.clients) // 2)
            self.gone.append(client)
            self.endings[ending] += 1
            if last_bytes:
                client.write(last_bytes)
            else:
                client.close()
        while await server.metric("news_connections") != len(self.clients):
            await asyncio.sleep(0.02)

    async def received(self) -> None:
        """Wait until the clients have every item that matches."""
        while sum(client.items for client in self.all_clients) < self.matched:
            await asyncio.sleep(0.02)


async def misbehave(server: RunningServer) -> None:
    """Publish twice, publish invalid items, and upgrade without a user or with an invalid one."""
    [receipt] = await server.publish(raw(ITEMS))
    assert receipt["duplicate"]
    async with server.http.post(f"{server.url}/api/v1/news", data=b"{", headers={"Content-Type": "application/json"}):
        pass
    for query in ("", "?user_id=%20"):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await server.http.ws_connect(server.ws_url + query)


def expected(ledger: Ledger, bad_rounds: int) -> dict[tuple[str, str], float]:
    """Return what /metrics must report, by metric and label value."""
    opened, closed = len(ledger.all_clients), len(ledger.gone)
    deflating = [client for client in ledger.all_clients if client.is_deflating]
    plain = [client for client in ledger.all_clients if not client.is_deflating]
    return {
        ("news_connections_opened_total", ""): opened,
        ("news_connections", ""): opened - closed,
        ("news_users", ""): opened - closed,
        ("news_connection_duration_seconds_count", ""): closed,
        ("news_handshake_duration_seconds_count", ""): opened,
        ("news_handshake_failures_total", "missing_user"): bad_rounds,
        ("news_handshake_failures_total", "bad_request"): bad_rounds,
        **{("news_connections_closed_total", ending): ledger.endings[ending] for ending in ADMITTED_REASONS},
        ("news_items_accepted_total", "api"): ledger.items,
        ("news_items_rejected_total", "duplicate"): bad_rounds,
        ("news_items_rejected_total", "invalid"): bad_rounds,
        ("news_items_broadcast_total", "delivered"): ledger.items,
        ("news_frames_encoded_total", "identity"): ledger.items,
        ("news_frames_encoded_total", "deflate"): ledger.items,
        ("news_queue_wait_seconds_count", ""): ledger.items,
        ("news_broadcast_recipients_count", ""): ledger.items,
        ("news_broadcast_recipients_sum", ""): ledger.matched,
        ("news_filter_slots_asked_total", ""): ledger.matched + ledger.rejected,
        ("news_filter_decisions_total", "matched"): ledger.matched,
        ("news_filter_decisions_total", "impact"): ledger.rejected,
        ("news_filter_decisions_total", "error"): 0,
        ("news_sends_total", "written"): sum(client.items for client in ledger.all_clients),
        ("news_sends_total", "closed"): 0,
        ("news_delivery_latency_seconds_count", ""): ledger.matched,
        ("news_sent_payload_bytes_total", "identity"): sum(client.payload_bytes for client in plain),
        ("news_sent_payload_bytes_total", "deflate"): sum(client.payload_bytes for client in deflating),
        ("news_sent_wire_bytes_total", "identity"): sum(client.wire_bytes for client in plain),
        ("news_sent_wire_bytes_total", "deflate"): sum(client.wire_bytes for client in deflating),
        ("news_client_received_bytes_total", ""): sum(client.sent_bytes for client in ledger.all_clients),
        ("news_client_messages_total", "ping"): opened,
        ("news_client_messages_invalid_total", "binary"): ledger.endings[DisconnectReason.UNSUPPORTED_DATA],
        ("news_client_messages_invalid_total", "too_big"): ledger.endings[DisconnectReason.MESSAGE_TOO_BIG],
        ("news_history_items", ""): ledger.items,
        ("news_history_head_sequence", ""): ledger.items,
    }


async def exported(server: RunningServer, names: set[str]) -> dict[tuple[str, str], float]:
    """Read /metrics: the samples of these names, by name and label value."""
    async with server.http.get(f"{server.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    found = {}
    for line in lines:
        name, _, labels = line.rpartition(" ")[0].partition("{")
        if name in names:
            found[name, labels.partition('"')[2].removesuffix('"}')] = float(line.rpartition(" ")[2])
    return found


@pytest.mark.process
@pytest.mark.time_limit(120)
async def test_counters_are_exact_after_100000_deliveries(tmp_path: Path) -> None:
    ledger = Ledger()
    async with server_process("--database", str(tmp_path / "news.db"), "--heartbeat-s", "3600") as process:
        server = process.server
        for _ in range(ROUNDS):
            await ledger.fill_up(server)
            await server.publish(*ledger.publishing())
            await ledger.received()
            await ledger.part(server)
            await misbehave(server)
        truth = expected(ledger, ROUNDS)
        counted = await exported(server, {name for name, _ in truth})

    deliveries = sum(client.items for client in ledger.all_clients)
    note(
        "truth", f"{deliveries:,} deliveries, {len(ledger.gone)} disconnects", f"{len(truth)} counters equal the truth"
    )
    assert deliveries >= 100_000
    assert {key: counted[key] for key in truth} == truth
