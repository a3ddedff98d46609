"""Where a connection begins that asks for what it missed. This file owns finding the place, and who asks too often.

What can be proven is decided in `core/resuming`; here a time or a number of items becomes a seq first. A replay out of
what lies in memory is free; one that needs the disk is not to be had all the time.
"""

import asyncio
from collections.abc import Iterable

from app.core.access.entitlement import Entitlement
from app.core.delivery import positions
from app.core.delivery.positions import (
    GapReason,
    LogBounds,
    LogGap,
    LogRange,
    Position,
    ResumeAfter,
    ResumeLast,
    ResumeRequest,
    ResumeSince,
)
from app.core.errors import ClientError, ErrorCode
from app.core.limits import KeyedRateLimiter, Limits
from app.flows.delivery.replay_filter import ReplayFilter
from app.flows.delivery.session import Channel, Session
from app.ports.clock import Clock
from app.ports.log import NewsLog
from app.telemetry.labels import RateScope, Resume
from app.telemetry.stats import Stats

_MINUTE_S = 60.0


class StartResolver:
    """Finds where to begin in the log."""

    def __init__(self, log: NewsLog, judge: ReplayFilter, limits: Limits, clock: Clock, stats: Stats) -> None:
        self._news_log = log
        self._judge = judge
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._meter = KeyedRateLimiter(limits.replays_per_min / _MINUTE_S, limits.replays_per_min)

    @property
    def bounds(self) -> LogBounds:
        """Give what the log holds now."""
        return LogBounds(self._news_log.epoch, self._news_log.oldest, self._news_log.head)

    def position(self, seq: int) -> Position:
        """Name a place in the log as clients do."""
        return Position(self._news_log.epoch, seq)

    async def prepare(self, session: Session, asked: ResumeRequest, *, is_required: bool) -> None:
        """Choose where a seated session begins. Raises Theirs(RATE_LIMITED), and Theirs(RESUME_EXPIRED) where a gap
        is not wanted."""
        start = await self.resolve(asked, session.channels, session)
        if is_required and start.gap is not None:
            raise ClientError(ErrorCode.RESUME_EXPIRED, f"Continuity cannot be proven: {start.gap.reason}")
        session.start = start

    def record_result(self, session: Session) -> None:
        """Count what came of a session that begins where it asked to."""
        if session.start is None or not session.start.is_requested:
            return
        gap = session.start.gap
        if gap is not None and gap.items > 0:
            self._stats.recovery.resumed(Resume.GAP, gap.items if gap.reason is GapReason.EXPIRED else 0)
        else:
            self._stats.recovery.resumed(
                Resume.EMPTY if session.start.after >= self._news_log.head else Resume.COMPLETE
            )

    async def resolve(self, asked: ResumeRequest, channels: Iterable[Channel], session: Session) -> LogRange:
        """Find where in the log a client wants to begin. Raises Theirs(RATE_LIMITED)."""
        start = await self._resolve(asked, channels, session.entitled)
        self._meter_replay(session, start)
        return start

    async def start_delayed(self, session: Session) -> None:
        """Let a session that sees everything late begin at what it may see next, and not that much later."""
        found = await self._since(self._clock.wall() - session.entitled.min_delay_s)
        session.start = LogRange(found.after, is_requested=False)

    async def _resolve(self, asked: ResumeRequest, channels: Iterable[Channel], entitled: Entitlement) -> LogRange:
        match asked:
            case Position():
                return positions.resume(asked, self.bounds)
            case ResumeAfter(seq):
                return positions.resume_after(seq, self.bounds)
            case ResumeSince(time):
                return await self._since(time)
            case ResumeLast(items):
                return LogRange(await self._before_last(items, channels, entitled))

    async def _since(self, time: float) -> LogRange:
        """Find the first item that was accepted at a time or later, by halves: items are in the order of acceptance.

        Where the clock was set back in between, order and time disagree and any of the places may be found.
        """
        oldest, head = self._news_log.oldest, self._news_log.head
        if oldest > 1 and self._news_log.oldest_at > time:
            return LogRange(oldest - 1, LogGap(1, oldest - 1, GapReason.EXPIRED))
        low, high = oldest, head + 1
        while low < high:
            middle = (low + high) // 2
            found = await self._news_log.read(middle - 1, 1)
            if found and found[0].accepted_at < time:
                low = middle + 1
            else:
                high = middle
        return LogRange(low - 1)

    async def _before_last(self, items: int, channels: Iterable[Channel], entitled: Entitlement) -> int:
        """Find the seq behind which so many items match, looked for among the newest `scan_items`."""
        asked, page, now = list(channels), self._limits.page_of_log_items, self._clock.wall()
        end = self._news_log.head
        lowest = max(self._news_log.oldest - 1, end - self._limits.scan_items)
        while end > lowest:
            after = max(end - page, lowest)
            records = await self._news_log.read(after, end - after)
            for number, record in enumerate(reversed(records), start=1):
                if number % self._limits.log_items_a_turn == 0:
                    await asyncio.sleep(0)
                is_due = entitled.is_due(record.accepted_at, now)
                items -= is_due and any(self._judge.matches(channel, record, entitled) for channel in asked)
                if items == 0:
                    return record.seq - 1
            end = after
        return lowest

    def _meter_replay(self, session: Session, start: LogRange) -> None:
        if self._news_log.head - start.after <= self._limits.free_replay_items:
            return
        key = f"{session.user_id}/{session.device_id or ''}"
        wait_s = self._meter.acquire(key, self._clock.monotonic())
        if wait_s:
            self._stats.rate_limited[RateScope.REPLAY] += 1
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many long replays", retry_after_s=wait_s)
