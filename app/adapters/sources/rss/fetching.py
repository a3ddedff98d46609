"""One conditional GET. This file owns the caps on a fetch and what a server says about changes.

A feed that has not changed costs a 304 (RFC 9110 section 13): the validators of the last answer go back with the next
request. The body is counted while it streams in, after decompression.
"""

from typing import NamedTuple

import aiohttp

from app.core.limits import Limits

USER_AGENT = "polyfloat-news (+RSS reader)"
_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"


class Validators(NamedTuple):
    """What the next request gives back, so that the server can say "not modified"."""

    etag: str = ""
    last_modified: str = ""


class Fetched(NamedTuple):
    """A feed's body, None when it has not changed."""

    body: bytes | None
    validators: Validators


class FetchFailed(Exception):
    """A feed could not be fetched; the message says why, `retry_after_s` what the server asked for."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


async def fetch(session: aiohttp.ClientSession, url: str, validators: Validators, limits: Limits) -> Fetched:
    """Fetch a feed if it changed. Raises FetchFailed."""
    headers = {"User-Agent": USER_AGENT, "Accept": _ACCEPT}
    if validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    timeout = aiohttp.ClientTimeout(total=limits.feed_fetch_s)
    try:
        async with session.get(url, headers=headers, timeout=timeout, max_redirects=limits.feed_redirects) as response:
            return await _read(response, validators, limits.feed_bytes)
    except TimeoutError as error:
        raise FetchFailed(f"no answer within {limits.feed_fetch_s:g} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from error


async def _read(response: aiohttp.ClientResponse, validators: Validators, most_bytes: int) -> Fetched:
    if response.status == 304:
        return Fetched(None, validators)
    if response.status != 200:
        raise FetchFailed(f"status {response.status}", _retry_after(response))
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            raise FetchFailed(f"more than {most_bytes} bytes")
    found = Validators(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
    return Fetched(bytes(body), found)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0
