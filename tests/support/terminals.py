"""Clients that lose their connection, resume, and record everything they received.

This module does not import `app`: the oracle decides what they should have received.
"""

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import aiohttp

_AGAIN_S = 0.02


class Terminal:
    """One user's client. With `stays_s` it drops its connection after a random time in that range; it reads only while
    `reads` is set.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        address: Callable[[], str],
        user: str,
        filters: dict[str, Any],
        *,
        acks: bool = False,
        stays_s: tuple[float, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.user, self.filters, self.acks = user, filters, acks
        self.seqs: list[int] = []
        self.again = 0
        self.gaps: list[dict[str, Any]] = []
        self.position = ""
        self.connects = 0
        self.closes: list[int] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.pause_s = 0.0
        self._http, self._address = http, address
        self._stays_s, self._chance = stays_s, random.Random(f"{seed}/{user}")

    @property
    def reached(self) -> int:
        """Return up to where the client has everything, as far as it knows."""
        return int(self.position.rpartition(":")[2] or 0)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
                await self._connect()
            await asyncio.sleep(_AGAIN_S)

    async def _connect(self) -> None:
        query = {"user_id": self.user, "v": "2", "filters": json.dumps(self.filters)}
        if self.acks:
            query |= {"ack": "1", "device_id": "desk"}
        if self.position and not (self.acks and self.connects):
            query |= {"resume": self.position}
        # compress=0: the frames must be those that the server would send to thousands.
        async with self._http.ws_connect(f"{self._address()}?{urlencode(query)}", compress=0) as socket:
            self.connects += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(self._chance.uniform(*self._stays_s) if self._stays_s else None):
                    await self._listen(socket)
            if self._chance.random() < 0.5:
                _break(socket)
        self.closes.append(socket.close_code or 0)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            self._take(json.loads(frame.data))
            if self.acks and self._chance.random() < 0.3:
                await socket.send_json({"type": "ack", "seq": self.reached})
            await self.reads.wait()
            if self.pause_s:
                await asyncio.sleep(self.pause_s)

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "welcome":
                self.position = self.position or f"{message['epoch']}:{message['seq']}"
                self._epoch = message["epoch"]
            case "news_item":
                self.again += message.get("redelivered", False)
                self.seqs.append(message["seq"])
                self._move(message["seq"])
            case "keep_alive" | "live":
                self._move(message["seq"])
            case "gap":
                self.gaps.append(message)
                self._move(message["to_seq"])
            case _:
                pass

    def _move(self, seq: int) -> None:
        self.position = f"{self._epoch}:{seq}"


def _break(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Drop a connection as a network does, without a close frame."""
    connection = socket._response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
