"""One conditional GET: the limits of a fetch, and what a server says about changes.

A feed that has not changed costs a 304 (RFC 9110 section 13): the validators of the last answer are sent with the next
request. The body is counted while it arrives, after decompression.
"""

from typing import NamedTuple

import aiohttp

from app.core.limits import FeedLimits

USER_AGENT = "polyfloat-news (+RSS reader)"
_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"


class Validators(NamedTuple):
    """What is sent with the next request, so that the server can answer "not modified"."""

    etag: str = ""
    last_modified: str = ""


class Fetched(NamedTuple):
    """A feed's body, None if it has not changed."""

    body: bytes | None
    validators: Validators


class FetchFailed(Exception):
    """A feed could not be fetched. The message says why, `retry_after_s` what the server asked for."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


async def fetch(session: aiohttp.ClientSession, url: str, validators: Validators, limits: FeedLimits) -> Fetched:
    """Fetch a feed if it has changed. Raises FetchFailed."""
    headers = {"User-Agent": USER_AGENT, "Accept": _ACCEPT}
    if validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    timeout = aiohttp.ClientTimeout(total=limits.fetch_timeout_s)
    try:
        async with session.get(url, headers=headers, timeout=timeout, max_redirects=limits.max_redirects) as response:
            return await _read(response, validators, limits.max_bytes)
    except TimeoutError as error:
        raise FetchFailed(f"no answer within {limits.fetch_timeout_s:g} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from error


async def _read(response: aiohttp.ClientResponse, validators: Validators, max_bytes: int) -> Fetched:
    if response.status == 304:
        return Fetched(None, validators)
    if response.status != 200:
        raise FetchFailed(f"status {response.status}", _retry_after(response))
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise FetchFailed(f"more than {max_bytes} bytes")
    found = Validators(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
    return Fetched(bytes(body), found)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
