"""Fetch a feed with one conditional GET, within limits of time, redirects and size.

The validators (ETag and Last-Modified) of the last response are sent with the next request. If the feed has not changed
since, its server answers 304 without a body (RFC 9110 section 13). The size limit applies to the decompressed body and
is checked while the body arrives.
"""

from typing import NamedTuple

import aiohttp

from app.core.limits import FeedLimits

USER_AGENT = "polyfloat-news (+RSS reader)"
_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"


class Validators(NamedTuple):
    """The headers ETag and Last-Modified of a response; a missing header is an empty string. They are sent with the
    next request, so that the feed's server can answer 304 (not modified).
    """

    etag: str = ""
    last_modified: str = ""


class Fetched(NamedTuple):
    """The result of a fetch: the body of the feed, and the validators for the next fetch. `body` is None if the feed
    has not changed.
    """

    body: bytes | None
    validators: Validators


class FetchFailed(Exception):
    """A feed could not be fetched; the message says why. `retry_after_s` is the Retry-After of the response in seconds.
    It is 0 if this header is missing or has a date.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


async def fetch(session: aiohttp.ClientSession, url: str, validators: Validators, limits: FeedLimits) -> Fetched:
    """Fetch a feed; the result has a body only if the feed has changed. Raises FetchFailed."""
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
