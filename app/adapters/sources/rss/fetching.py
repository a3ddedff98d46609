"""Fetch a feed with one conditional GET, within limits of time, redirects and size.

The validators (ETag and Last-Modified) of the last response are sent with the next request. If the feed has not changed
since, its server answers 304 without a body (RFC 9110 section 13). The size limit applies to the decompressed body and
is checked while the body arrives.
"""

import zlib
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urljoin

import aiohttp

from app.core.limits import FeedLimits

USER_AGENT = "polyfloat-news (+RSS reader)"
_ACCEPT = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"
)
_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate", "Accept": _ACCEPT}
_PERMANENT, _TEMPORARY = (301, 308), (302, 303, 307)
_GZIP = b"\x1f\x8b"
_GONE = 410


class Validators(NamedTuple):
    """The headers ETag and Last-Modified of a response; a missing header is an empty string. They are sent with the
    next request, so that the feed's server can answer 304 (not modified).
    """

    etag: str = ""
    last_modified: str = ""


class Fetched(NamedTuple):
    """The result of a fetch. `body` is None if the feed has not changed. `url` is where the body came from, after all
    redirects, and `moved_to` the address to use from now on, "" if it is still the same. `charset` is that of the
    header Content-Type, "" if it has none. `max_age_s` is for how many seconds the response is fresh, 0 if it does not
    say.
    """

    body: bytes | None
    validators: Validators
    url: str = ""
    moved_to: str = ""
    charset: str = ""
    max_age_s: float = 0.0


class FetchFailed(Exception):
    """A feed could not be fetched; the message says why. `retry_after_s` is the Retry-After of the response in seconds,
    0 without one. `is_gone` is whether the feed's server says that the feed does not exist any more.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0, *, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.is_gone = is_gone


async def fetch(
    session: aiohttp.ClientSession,
    url: str,
    validators: Validators,
    limits: FeedLimits,
    headers_for: Callable[[str], Mapping[str, str]],
    now: float,
) -> Fetched:
    """Fetch a feed; the result has a body only if the feed has changed. `headers_for` returns more headers for a
    request, by its URL, which may be that of a redirect. `now` is in Unix seconds. Raises FetchFailed.
    """
    conditions = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified}
    sent = {**_HEADERS, **{name: value for name, value in conditions.items() if value}}
    timeout = aiohttp.ClientTimeout(total=limits.fetch_timeout_s)
    address, moved_to, is_permanent = url, "", True
    try:
        for _ in range(limits.max_redirects + 1):
            headers = {**sent, **headers_for(address)}
            async with session.get(address, headers=headers, timeout=timeout, allow_redirects=False) as response:
                location = response.headers.get("Location", "")
                if response.status not in (*_PERMANENT, *_TEMPORARY) or not location:
                    fetched = await _read(response, validators, limits.max_bytes, now)
                    return fetched._replace(url=address, moved_to=moved_to)
                address = urljoin(address, location)
                is_permanent = is_permanent and response.status in _PERMANENT
                moved_to = address if is_permanent else moved_to
    except TimeoutError as error:
        raise FetchFailed(f"no answer within {limits.fetch_timeout_s:g} s") from error
    except (aiohttp.ClientError, ValueError, zlib.error) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from error
    raise FetchFailed(f"more than {limits.max_redirects} redirects")


async def _read(response: aiohttp.ClientResponse, validators: Validators, max_bytes: int, now: float) -> Fetched:
    max_age_s = _max_age_s(response)
    if response.status == 304:
        return Fetched(None, validators, max_age_s=max_age_s)
    if response.status != 200:
        reason = f"status {response.status}"
        raise FetchFailed(reason, _retry_after_s(response, now), is_gone=response.status == _GONE)
    body = bytearray()
    unpacker = _Unpacker(response.headers.get("Content-Encoding", ""), max_bytes)
    async for chunk in response.content.iter_any():
        body += unpacker.unpack(chunk)
        if len(body) > max_bytes:
            raise FetchFailed(f"more than {max_bytes} bytes")
    if not unpacker.is_complete:
        raise FetchFailed("the compressed body is cut off")
    found = Validators(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
    return Fetched(bytes(body), found, charset=response.charset or "", max_age_s=max_age_s)


class _Unpacker:
    """Decompresses a body as it arrives. Servers forget the header Content-Encoding, or send it with a body that is not
    compressed, so the first bytes decide.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self._encoding = encoding.strip().lower()
        self._max_bytes = max_bytes
        self._inflater: zlib._Decompress | None = None
        self._has_begun = False

    @property
    def is_complete(self) -> bool:
        """Return whether the compressed body has an end."""
        return self._inflater is None or self._inflater.eof

    def unpack(self, chunk: bytes) -> bytes:
        """Return the next bytes of the body. A body that is too large is not decompressed to its end."""
        if not self._has_begun:
            self._has_begun = True
            self._inflater = self._inflater_for(chunk)
        return chunk if self._inflater is None else self._inflater.decompress(chunk, self._max_bytes + 1)

    def _inflater_for(self, beginning: bytes) -> "zlib._Decompress | None":
        if beginning.startswith(_GZIP):
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        if self._encoding != "deflate" or beginning.lstrip().startswith((b"<", b"{")):
            return None
        # Deflate is with the header of zlib; some servers leave it out.
        has_header = beginning[0] & 0x0F == 8 and int.from_bytes(beginning[:2]) % 31 == 0
        return zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


def _retry_after_s(response: aiohttp.ClientResponse, now: float) -> float:
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except ValueError:
        return 0.0


def _max_age_s(response: aiohttp.ClientResponse) -> float:
    directives = response.headers.get("Cache-Control", "").lower().split(",")
    ages = [part.partition("=")[2].strip() for part in directives if part.strip().startswith("max-age=")]
    return float(ages[0]) if ages and ages[0].isdecimal() else 0.0
