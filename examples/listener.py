"""Print news as it arrives, and resume after a disconnect.

python examples/listener.py ws://localhost:8000 USER          (pip install websockets)
"""

import asyncio
import json
import os
import random
import sys
from time import monotonic
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

BACKOFF_BASE_S, BACKOFF_CAP_S = 0.5, 30.0
HEALTHY_S = 60.0
# Close codes from here on mean: not until something has changed.
FIRST_FATAL_CODE = 4500


class Position:
    """Up to where everything was received. A client that must not miss items across its own restarts stores it."""

    def __init__(self) -> None:
        self.epoch, self.seq = "", 0

    def query(self) -> dict[str, str]:
        return {"resume": f"{self.epoch}:{self.seq}"} if self.epoch else {}

    def advance(self, message: dict) -> None:
        match message["type"]:
            case "welcome" if message["epoch"] != self.epoch:
                self.epoch, self.seq = message["epoch"], message["seq"]
            case "news_item" | "keep_alive" | "live":
                self.seq = message["seq"]
            case "gap":
                self.seq = message["to_seq"]


def show(message: dict) -> None:
    if message["type"] == "news_item":
        item = message["data"]
        print(f"{message['seq']} {item['impact_score']:.0f} {item['title']}", flush=True)
    elif message["type"] in ("gap", "error"):
        print(message, flush=True)


async def listen(server: str, user: str) -> None:
    """Listen until the server refuses this client. Raises SystemExit with the reason."""
    token = os.environ.get("NEWS_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    position, failures = Position(), 0
    while True:
        query = urlencode({"user_id": user, "v": 2, **position.query()})
        opened_at = monotonic()
        try:
            async with connect(f"{server}/ws/news?{query}", additional_headers=headers) as socket:
                async for text in socket:
                    message = json.loads(text)
                    show(message)
                    position.advance(message)
        except InvalidStatus as refused:
            status = refused.response.status_code
            if status < 500 and status != 429:
                raise SystemExit(f"refused with {status}: {refused.response.body.decode()}") from None
        except (ConnectionClosed, OSError):
            pass
        else:
            if socket.close_code >= FIRST_FATAL_CODE:
                raise SystemExit(f"closed with {socket.close_code} {socket.close_reason}")
        failures = 0 if monotonic() - opened_at > HEALTHY_S else failures + 1
        await asyncio.sleep(random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**failures)))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    asyncio.run(listen(*sys.argv[1:]))
