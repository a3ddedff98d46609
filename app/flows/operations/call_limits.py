"""Limits on REST calls: how many a second, how many answers may be on their way to one address, and how many bytes of
bodies are held for one address.

A call is counted for its address before its token is verified, and for its user after that. Publishing has a rate of
its own.

An answer is on its way from the call until its client has read most of it. If an address has too many of them, its next
call waits until one has ended, because a proxy may send the calls of many users at once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from app.core.errors import ClientError, ErrorCode, ServerError
from app.core.limits import RequestLimits
from app.core.rate_limiter import KeyedRateLimiter
from app.ports.clock import Clock
from app.telemetry.labels import RateScope
from app.telemetry.stats import Stats

_RETRY_S = 1.0


class CallLimiter:
    """Meters the calls of each address and user, and bounds the answers that are on their way to each address, and the
    bodies that are held for it.
    """

    def __init__(self, limits: RequestLimits, clock: Clock, stats: Stats) -> None:
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._limiters = {
            RateScope.READ: KeyedRateLimiter(limits.reads_per_s, limits.read_burst),
            RateScope.PUBLISH: KeyedRateLimiter(limits.publishes_per_s, limits.publish_burst),
        }
        self._answers: dict[str, _Answers] = {}
        self._held_bytes: Counter[str] = Counter()

    def check(self, caller: str, *, is_publish: bool) -> None:
        """Meter one call of a caller: the key of an address or a user, or "" for a caller that is not limited. Raises
        ClientError(RATE_LIMITED).
        """
        if not caller:
            return
        scope = RateScope.PUBLISH if is_publish else RateScope.READ
        if wait_s := self._limiters[scope].acquire(caller, self._clock.monotonic()):
            self._stats.connections.record_rate_limit(scope)
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many requests", retry_after_s=wait_s)

    @asynccontextmanager
    async def answering(self, address: str) -> AsyncIterator[None]:
        """Count one answer that is on its way to an address, until the end of the context. If there are
        `max_answers_per_ip`, wait for one to end. Raises ServerError(OVERLOADED) if none does within
        `answer_timeout_s`, or if as many calls wait already.
        """
        answers = self._answers.get(address)
        if answers is None:
            answers = self._answers[address] = _Answers(self._limits.max_answers_per_ip)
        answers.calls += 1
        try:
            await self._wait_for_turn(answers)
            try:
                yield
            finally:
                answers.free.release()
        finally:
            answers.calls -= 1
            if not answers.calls:
                del self._answers[address]

    @contextmanager
    def holding(self, address: str) -> Iterator["HeldBody"]:
        """Count the bytes that are added to the body as held for an address, until the end of the context."""
        body = HeldBody(address, self)
        try:
            yield body
        finally:
            self._held_bytes[address] -= body.size
            if not self._held_bytes[address]:
                del self._held_bytes[address]

    def hold(self, address: str, size: int) -> None:
        """Count bytes of a body as held for an address. Raises ServerError(OVERLOADED) instead if more than
        `max_body_bytes_per_ip` would be held.
        """
        if self._held_bytes[address] + size > self._limits.max_body_bytes_per_ip:
            self._stats.server.record_too_many_bodies()
            detail = "The bodies that this address sends at once are too large together: send fewer at once"
            raise ServerError(ErrorCode.OVERLOADED, detail, retry_after_s=_RETRY_S)
        self._held_bytes[address] += size

    async def _wait_for_turn(self, answers: "_Answers") -> None:
        if answers.calls <= 2 * self._limits.max_answers_per_ip:
            try:
                async with asyncio.timeout(self._limits.answer_timeout_s):
                    await answers.free.acquire()
            except TimeoutError:
                pass
            else:
                return
        self._stats.server.record_too_many_answers()
        detail = "Too many answers are on their way to this address: read them first"
        raise ServerError(ErrorCode.OVERLOADED, detail, retry_after_s=_RETRY_S)


class HeldBody:
    """The body of one request: `size` is how many of its bytes are held in memory."""

    __slots__ = ("_address", "_limiter", "size")

    def __init__(self, address: str, limiter: CallLimiter) -> None:
        self._address = address
        self._limiter = limiter
        self.size = 0

    def add(self, size: int) -> None:
        """Count more bytes. Raises ServerError(OVERLOADED)."""
        self._limiter.hold(self._address, size)
        self.size += size


class _Answers:
    """The answers that are on their way to one address: `calls` counts them and the calls that wait."""

    __slots__ = ("calls", "free")

    def __init__(self, limit: int) -> None:
        self.free = asyncio.Semaphore(limit)
        self.calls = 0
