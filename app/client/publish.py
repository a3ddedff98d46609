"""Publish items to a server over HTTP, in batches and with retries."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import msgspec

from app.client.backoff import pause_s
from app.client.credentials import bearer
from app.client.server import describe_failure, describe_refusal

_BATCH_ITEMS = 100
_BATCH_BYTES = 200_000
_TRIES = 6
_RETRYABLE = (429, 503, 507)


class PublishFailed(Exception):
    """A batch could not be published: the server refused it, stayed busy or could not be reached. The message has the
    reason.
    """


async def publish_file(source: str, server: str, token: str | None = None) -> int:
    """Publish the items of a file (`-` is standard input), and return how many of them were not duplicates.

    The file contains NDJSON or one JSON item. Raises PublishFailed, and OSError if the file cannot be read.
    """
    text = sys.stdin.buffer.read() if source == "-" else await asyncio.to_thread(Path(source).read_bytes)
    new = 0
    async with aiohttp.ClientSession(headers=bearer(token)) as session:
        for batch in _batches(_lines(text)):
            receipts = await _send(session, f"{server}/api/v1/news", b"\n".join(batch))
            new += sum(not receipt["duplicate"] for receipt in receipts)
    return new


def _lines(text: bytes) -> list[bytes]:
    """Return each item of a text as one line of JSON. The text is either one JSON document, which may span several
    lines, or has one item a line. Blank lines are skipped.
    """
    try:
        return [msgspec.json.encode(msgspec.json.decode(text))]
    except msgspec.DecodeError:
        return [line for line in text.splitlines() if line.strip()]


def _batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == _BATCH_ITEMS or size + len(line) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


async def _send(session: aiohttp.ClientSession, url: str, body: bytes) -> list[dict[str, object]]:
    """Post a batch, with at most _TRIES tries, and return the server's receipts. Raises PublishFailed.

    A batch can safely be posted again: an item that is published twice is stored once.
    """
    for attempt in range(_TRIES):
        try:
            async with session.post(url, data=body, headers={"Content-Type": "application/x-ndjson"}) as answer:
                text = await answer.read()
                if answer.ok:
                    return list(msgspec.json.decode(text)["items"])
                if answer.status not in _RETRYABLE:
                    raise PublishFailed(describe_refusal(answer.status, text))
                await asyncio.sleep(float(answer.headers.get("Retry-After", pause_s(attempt))))
        except aiohttp.ClientConnectionError as error:
            reason = f"cannot reach {url}: {describe_failure(error)}"
            if attempt == _TRIES - 1:
                raise PublishFailed(reason) from error
            sys.stderr.write(f"polyfloat-news: {reason}; trying again\n")
            await asyncio.sleep(pause_s(attempt))
    raise PublishFailed(f"{url}: still busy after {_TRIES} tries")
