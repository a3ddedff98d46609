"""A WebSocket client for the terminal that reconnects after a disconnect and resumes after the last item that it
received.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from app.client.backoff import pause_s
from app.client.credentials import bearer
from app.client.server import describe_failure, describe_refusal

_HEALTHY_S = 60.0
_HEARTBEAT_S = 20.0
_NO_RETRY_FROM = 4500
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


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
    """The server refused the client, and a retry would not help. The message has the HTTP status and the server's
    reasons, or the close code of the connection (4500 or above) and its reason.
    """


async def listen(
    server: str,
    user: str,
    filters: Mapping[str, object],
    show: Callable[[bytes], None],
    warn: Callable[[str], object],
    token: str | None = None,
) -> None:
    """Call `show` with every message of the server until cancelled, and reconnect after each disconnect. `warn` is
    called with the reason for every reconnect.

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

    # "ws" for "http", "wss" for "https".
    url = f"ws{server.removeprefix('http')}/ws/news"
    while True:
        opened_at = monotonic()
        reason = await _listen_once(f"{url}?{urlencode(parameters | position.query())}", token, receive)
        attempt = 0 if monotonic() - opened_at > _HEALTHY_S else attempt + 1
        warn(f"{reason}; trying again")
        await asyncio.sleep(pause_s(attempt))


async def _listen_once(url: str, token: str | None, show: Callable[[bytes], None]) -> str:
    """Receive messages until the connection ends, and return why it ended. Raises ConnectionRefused."""
    try:
        async with connect(url, additional_headers=bearer(token), ping_interval=_HEARTBEAT_S, proxy=None) as socket:
            async for message in socket:
                show(message.encode() if isinstance(message, str) else message)
        code, reason = socket.close_code or 0, socket.close_reason
    except ConnectionClosed as closed:
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (0, "")
    except InvalidStatus as refused:
        status = refused.response.status_code
        text = describe_refusal(status, bytes(refused.response.body))
        if status < _SERVER_ERROR and status != _TOO_MANY_REQUESTS:
            raise ConnectionRefused(text) from refused
        return text
    except (WebSocketException, OSError) as error:
        return f"cannot reach {url.partition('?')[0]}: {describe_failure(error)}"
    if code >= _NO_RETRY_FROM:
        raise ConnectionRefused(f"closed with {code} {reason}")
    return f"closed with {code} {reason}" if code else "the connection was lost"


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
