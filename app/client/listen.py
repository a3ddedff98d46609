"""A WebSocket client for the terminal that reconnects after a disconnect and resumes after the last item that it
received.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import aiohttp
import msgspec

from app.client.backoff import pause_s
from app.client.credentials import bearer

_HEALTHY_S = 60.0
_HEARTBEAT_S = 20.0
_NO_RETRY_FROM = 4500


class _Position:
    """The position in the log up to which every matching item was received. Before the first `welcome` message it is
    unknown and the epoch is empty.
    """

    def __init__(self) -> None:
        self._epoch = ""
        self._seq = 0

    def advance(self, message: bytes) -> None:
        """Update the position from a server message."""
        document: dict[str, Any] = msgspec.json.decode(message)
        match document["type"]:
            case "welcome" if self._epoch != document["epoch"]:
                self._epoch, self._seq = document["epoch"], document["seq"]
            case "news_item" | "keep_alive" | "live":
                self._seq = document["seq"]
            case "gap":
                self._seq = document["to_seq"]
            case _:
                # Messages of other types do not change the position.
                pass

    def query(self) -> dict[str, str]:
        return {"resume": f"{self._epoch}:{self._seq}"} if self._epoch else {}


class ConnectionRefused(Exception):
    """The server refused the client, and a retry would not help. The message has the HTTP status of the handshake, or
    the close code of the connection (4500 or above).
    """


async def listen(
    server: str,
    user: str,
    filters: Mapping[str, object],
    show: Callable[[bytes], None],
    token: str | None = None,
) -> None:
    """Call `show` with every message of the server until cancelled, and reconnect after each disconnect.

    A new connection resumes at the position of the previous one, so that items missed in between are received too.
    Without `filters` the user's stored filter is used. Raises ConnectionRefused.
    """
    parameters = {"user_id": user, "v": "2"}
    if filters:
        parameters["filters"] = msgspec.json.encode(filters).decode()
    position, attempt = _Position(), 0

    def receive(message: bytes) -> None:
        show(message)
        position.advance(message)

    async with aiohttp.ClientSession(headers=bearer(token)) as session:
        while True:
            opened_at = monotonic()
            await _listen_once(session, f"{server}/ws/news", parameters | position.query(), receive)
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
                raise ConnectionRefused(f"closed with {socket.close_code}")
    except aiohttp.WSServerHandshakeError as error:
        if error.status < 500 and error.status != 429:
            raise ConnectionRefused(f"{error.status} {error.message}") from error
    except (aiohttp.ClientError, OSError):
        return


def as_line(message: bytes) -> str | None:
    """Return one line of text for a news item, an error or a gap, and None for any other message."""
    document: dict[str, Any] = msgspec.json.decode(message)
    if document["type"] == "error":
        return f"error: {document['message']}"
    if document["type"] == "gap":
        return f"missed: items {document['from_seq']} to {document['to_seq']} ({document['reason']})"
    if document["type"] != "news_item":
        return None
    item = document["data"]
    at = datetime.fromtimestamp(item["published_at"]).astimezone().strftime("%H:%M:%S")
    symbols = f" [{' '.join(item['tickers'])}]" if item["tickers"] else ""
    return f"{at} {item['impact_score']:5.1f} {item['category']:9} {item['title']}{symbols} — {item['source_account']}"
