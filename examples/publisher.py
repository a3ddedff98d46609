"""Publish news: each line of standard input is one item as JSON.

python examples/publisher.py http://localhost:8000 < items.ndjson

Required keys: source ("rss" or "nitter"), content, url, published_at (Unix seconds). Publishing an item twice is safe:
the server stores it once and answers with the first seq.
"""

import json
import os
import sys
import time
from http.client import HTTPException
from itertools import islice
from urllib.error import HTTPError
from urllib.request import Request, urlopen

BATCH_ITEMS = 100
TRIES = 6
RETRYABLE = (429, 503, 507)


def publish(server: str, batch: list[str]) -> list[dict]:
    """Publish a batch, all or none; return a receipt for each item. Raises SystemExit if the server refuses it."""
    headers = {"Content-Type": "application/x-ndjson"}
    if token := os.environ.get("NEWS_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    request = Request(f"{server}/api/v1/news", "\n".join(batch).encode(), headers)
    for attempt in range(TRIES):
        pause_s = 0.5 * 2**attempt
        try:
            with urlopen(request, timeout=30) as response:
                return json.load(response)["items"]
        except HTTPError as error:
            if error.code not in RETRYABLE:
                raise SystemExit(f"refused with {error.code}: {error.read().decode()}") from None
            pause_s = float(error.headers.get("Retry-After", pause_s))
        except (OSError, HTTPException) as error:
            # It is unknown whether the batch was stored: publishing it again is safe.
            print(f"{error}; trying again", file=sys.stderr)
        time.sleep(pause_s)
    raise SystemExit(f"{server} did not accept the batch after {TRIES} tries")


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    lines = (line.strip() for line in sys.stdin if line.strip())
    while batch := list(islice(lines, BATCH_ITEMS)):
        for receipt in publish(sys.argv[1], batch):
            print(f"{receipt['seq']} {receipt['id']}{' duplicate' if receipt['duplicate'] else ''}", flush=True)


if __name__ == "__main__":
    main()
