"""Find where in the log a connection starts when its client asks for missed items.

A client asks by position, seq, time or number of items. This module turns a time or a number of items into a seq. For a
position or seq, `core/delivery/positions` decides where to start and which items may be missing (the gap). A replay of
at most `unmetered_items` items is read from memory and is not metered. A longer one needs the disk, so a device may ask
for only `max_long_per_min` of them a minute.
"""

from collections.abc import Iterable

from app.core.access.entitlement import Entitlement
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
    resume,
    resume_after,
)
from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.limits import ReplayLimits
from app.core.rate_limiter import KeyedRateLimiter
from app.flows.delivery.channel import Channel
from app.flows.delivery.replay_filter import ReplayFilter
from app.flows.delivery.session import Session
from app.flows.time_slices import TimeSlices
from app.ports.clock import Clock
from app.ports.log import NewsLog, Record
from app.telemetry.labels import RateScope, Resume
from app.telemetry.stats import Stats

_MINUTE_S = 60.0


class StartResolver:
    """Turns a client's request for missed items into a place in the log: the seq to start after, and the gap if some of
    the items are missing.
    """

    def __init__(
        self,
        log: NewsLog,
        replay_filter: ReplayFilter,
        slices: TimeSlices,
        limits: ReplayLimits,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._news_log = log
        self._replay_filter = replay_filter
        self._slices = slices
        self._limits = limits
        self._clock = clock
        self._stats = stats
        self._limiter = KeyedRateLimiter(limits.max_long_per_min / _MINUTE_S, limits.max_long_per_min)

    @property
    def bounds(self) -> LogBounds:
        """Return the log's epoch and its oldest and newest seq, as of now."""
        return LogBounds(self._news_log.epoch, self._news_log.oldest, self._news_log.head)

    def position(self, seq: int) -> Position:
        """Return a seq of this log as a position, the form that clients use: `<epoch>:<seq>`."""
        return Position(self._news_log.epoch, seq)

    async def prepare(self, session: Session, request: ResumeRequest, *, is_required: bool) -> None:
        """Set the place in the log where an admitted session starts, as its client requested. Raises
        ClientError(RATE_LIMITED); ClientError(RESUME_EXPIRED) if the client requires a start without a gap
        (`is_required`) but there is one; and ServerError if the log cannot be read.
        """
        start = await self.resolve(request, session.channels, session)
        if is_required and start.gap is not None:
            raise ClientError(ErrorCode.RESUME_EXPIRED, f"Continuity cannot be proven: {start.gap.reason}")
        session.start_at(start)

    async def start_delayed(self, session: Session) -> None:
        """Set the start of a session whose token delays every item: just before the first item that is not due yet.

        If the session started at the live position, it would get no item for one whole delay. Raises ServerError if the
        log cannot be read.
        """
        found = await self._since(self._clock.wall() - session.token.entitled.min_delay_s)
        session.start_at(LogRange(found.after, is_requested=False))

    def record_result(self, session: Session) -> None:
        """Count the result of a session's resume when the session opens. Does nothing if the session does not resume.

        The result is a gap (items are missing), empty (there is nothing to replay) or complete.
        """
        if session.start is None or not session.start.is_requested:
            return
        gap, recovery = session.start.gap, self._stats.recovery
        if gap is not None and gap.items > 0:
            recovery.record_resume(Resume.GAP, gap.items if gap.reason is GapReason.EXPIRED else 0)
        elif session.start.after >= self._news_log.head:
            recovery.record_resume(Resume.EMPTY)
        else:
            recovery.record_resume(Resume.COMPLETE)

    async def resolve(self, request: ResumeRequest, channels: Iterable[Channel], session: Session) -> LogRange:
        """Return where in the log a client wants to start, with the gap if items are missing.

        Raises ClientError(INVALID_MESSAGE, RATE_LIMITED), and ServerError if the log cannot be read.
        """
        if isinstance(request, ResumeLast):
            self._check_last(request.items)
            return LogRange(await self._before_last(request.items, channels, session))
        start = await self._place_of(request)
        self._meter(session, start.after)
        return start

    async def _place_of(self, request: Position | ResumeAfter | ResumeSince) -> LogRange:
        match request:
            case Position():
                return resume(request, self.bounds)
            case ResumeAfter(seq):
                return resume_after(seq, self.bounds)
            case ResumeSince(time):
                return await self._since(time)

    def _check_last(self, items: int) -> None:
        if items > self._limits.max_last_items:
            where = FieldError("/since/last", f"must be an integer between 1 and {self._limits.max_last_items}")
            raise ClientError(ErrorCode.INVALID_MESSAGE, "Invalid message", fields=(where,))

    async def _since(self, time: float) -> LogRange:
        """Return the place before the first item accepted at `time` (Unix seconds) or later, with a gap if some of
        these items may have been pruned.

        The search is binary, because later items normally have later times of acceptance. If the clock was once set
        back, the times are not in order, and the result is one of several possible places.
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

    async def _before_last(self, items: int, channels: Iterable[Channel], session: Session) -> int:
        """Return the seq after which `items` items are due and match at least one of the channels.

        Only the newest `max_scan_items` items are searched. If fewer of them match, return the seq just before the
        oldest item searched. Raises ClientError(RATE_LIMITED) as soon as the search makes the replay a long one.
        """
        wanted, page = list(channels), self._limits.page_items
        head = end = self._news_log.head
        lowest = max(self._news_log.oldest - 1, end - self._limits.max_scan_items)
        is_metered = False
        while end > lowest:
            after = max(end - page, lowest)
            if not is_metered and self._is_long(head, after):
                is_metered = True
                self._meter(session, after)
            records = await self._news_log.read(after, end - after)
            async with self._slices.share() as time_slice:
                for record in reversed(records):
                    items -= self._is_wanted(record, wanted, session.token.entitled)
                    if items == 0:
                        return record.seq - 1
                    await time_slice.renew_if_over()
            end = after
        return lowest

    def _is_wanted(self, record: Record, channels: Iterable[Channel], entitled: Entitlement) -> bool:
        """Return whether an item counts as one of the newest items that a client asked for."""
        if not entitled.is_due(record.accepted_at, self._clock.wall()):
            return False
        try:
            return any(self._replay_filter.matches(channel, record, entitled) for channel in channels)
        # `CatchUp` will evaluate the item again. If that fails too, it announces a gap, which the client must get.
        except Exception:  # noqa: BLE001
            return True

    def _is_long(self, head: int, after: int) -> bool:
        return head - after > self._limits.unmetered_items

    def _meter(self, session: Session, after: int) -> None:
        """Count a replay of the items after a seq, if it is a long one. Raises ClientError(RATE_LIMITED)."""
        if not self._is_long(self._news_log.head, after):
            return
        # A device id has no slash, but a user id may have one.
        key = f"{session.device_id or ''}/{session.user_id}"
        wait_s = self._limiter.acquire(key, self._clock.monotonic())
        if wait_s:
            self._stats.connections.record_rate_limit(RateScope.REPLAY)
            raise ClientError(ErrorCode.RATE_LIMITED, "Too many long replays", retry_after_s=wait_s)
