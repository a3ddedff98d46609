"""Fetch and cache the keys that a URL publishes (RFC 7517).

When a token needs keys that are older than ten minutes, they are fetched again. While fetching fails, the old keys stay
in use, because an outage of the issuer must not disconnect users. A token with an unknown key id triggers a fetch too.
Fetches start at least _RETRY_S seconds apart, or _FIRST_RETRY_S seconds while there are no keys.
"""

import asyncio

import aiohttp
import msgspec
import structlog

from app.adapters.tokens.keys import Key, UnknownKey, published_keys
from app.core.errors import ErrorCode, ServerError
from app.ports.clock import Clock

_CACHE_S = 600.0
_RETRY_S = 30.0
# The least time between two fetches while there are no keys. It is short, because every client is refused until there
# are keys.
_FIRST_RETRY_S = 1.0
_FETCH_S = 5.0
_MAX_BYTES = 64 * 1024

_log = structlog.get_logger("tokens")


class PublishedKeys:
    """The keys that one URL publishes. They are fetched when a token needs them."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched_at = self._tried_at = float("-inf")
        # Whether the last fetch brought a key set, even one without a usable key.
        self._is_answered = False
        self._lock = asyncio.Lock()

    async def find(self, key_id: str | None) -> Key:
        if self._clock.monotonic() - self._fetched_at > _CACHE_S or self._known(key_id) is None:
            async with self._lock:
                await self._refresh()
        if not self._keys and not self._is_answered:
            raise ServerError(
                ErrorCode.OVERLOADED, "The keys that verify tokens are not available now", retry_after_s=5
            )
        key = self._known(key_id)
        if key is None:
            raise UnknownKey
        return key

    def _known(self, key_id: str | None) -> Key | None:
        """Return the cached key for a token's key id, or None if there is none. A token without a key id fits only if
        exactly one key is cached.
        """
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _refresh(self) -> None:
        now = self._clock.monotonic()
        if now - self._tried_at < (_RETRY_S if self._keys else _FIRST_RETRY_S):
            return
        self._tried_at = now
        self._is_answered = False
        try:
            fetched = await self._fetch()
            self._is_answered = True
            if not fetched:
                raise ValueError("no usable key")
            self._keys = fetched
            self._fetched_at = now
        # If a fetch fails, the keys of the last successful fetch stay in use.
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError, RecursionError, ValueError) as error:
            _log.warning("keys_not_fetched", error=f"{type(error).__name__}: {error}", kept=len(self._keys))

    async def _fetch(self) -> dict[str, Key]:
        timeout = aiohttp.ClientTimeout(total=_FETCH_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(self._url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            body = await answer.content.read(_MAX_BYTES + 1)
            while len(body) <= _MAX_BYTES and (more := await answer.content.read(_MAX_BYTES)):
                body += more
        if len(body) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        return published_keys(msgspec.json.decode(body))
