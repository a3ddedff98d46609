"""Listening from the command line. This file owns a WebSocket client that prints items and reconnects for ever."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import aiohttp
import msgspec

from app.client.backoff import pause_s

_HEALTHY_S = 60.0
_HEARTBEAT_S = 20.0
_NO_RETRY_FROM = 4500


class Refused(Exception):
    """The server will not have this client until something changes; the message says why."""


async def listen(server: str, user: str, filters: Mapping[str, object], show: Callable[[bytes], None]) -> None:
    """Give every message to `show`, for ever. Without filters the user's stored ones decide. Raises Refused."""
    parameters = {"user_id": user} | ({"filters": msgspec.json.encode(filters).decode()} if filters else {})
    attempt = 0
    async with aiohttp.ClientSession() as session:
        while True:
            opened_at = monotonic()
            await _listen_once(session, f"{server}/ws/news", parameters, show)
            attempt = 0 if monotonic() - opened_at > _HEALTHY_S else attempt + 1
            await asyncio.sleep(pause_s(attempt))


async def _listen_once(
    session: aiohttp.ClientSession, url: str, parameters: Mapping[str, str], show: Callable[[bytes], None]
) -> None:
    try:
        async with session.ws_connect(url, params=parameters, heartbeat=_HEARTBEAT_S) as socket:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    show(message.data.encode())
            if (socket.close_code or 0) >= _NO_RETRY_FROM:
                raise Refused(f"closed with {socket.close_code}")
    except aiohttp.WSServerHandshakeError as error:
        if error.status < 500 and error.status != 429:
            raise Refused(f"{error.status} {error.message}") from error
    except (aiohttp.ClientError, OSError):
        return


def as_line(message: bytes) -> str | None:
    """Give a news item as one line for people; None for other messages, errors as they are."""
    document: dict[str, Any] = msgspec.json.decode(message)
    if document["type"] == "error":
        return f"error: {document['message']}"
    if document["type"] != "news_item":
        return None
    item = document["data"]
    at = datetime.fromtimestamp(item["published_at"]).astimezone().strftime("%H:%M:%S")
    symbols = f" [{' '.join(item['tickers'])}]" if item["tickers"] else ""
    return f"{at} {item['impact_score']:5.1f} {item['category']:9} {item['title']}{symbols} — {item['source_account']}"
