"""The unanswered messages of one client, and the token buckets that meter its frames."""

from collections import deque

import msgspec

from app.core.delivery.ack_window import AckWindow
from app.core.limits import MessageLimits
from app.core.rate_limiter import TokenBucket

_MINUTE_S = 60.0


class Inbox(msgspec.Struct, gc=False):
    """The unanswered messages of one client, and its token buckets. `bool(inbox)` is True while a message waits.

    An inbox is created with the client's first frame, so a connection that only listens has none. `is_answering` is
    True while a task answers the messages. Times are monotonic seconds.
    """

    _bucket: TokenBucket
    _invalid: TokenBucket | None = None
    # None while it is empty: an empty deque takes 760 bytes.
    _messages: deque[str] | None = None
    # The highest seq of an ack that was exempt from metering, and the number of exempt acks for past items.
    _exempt_seq: int = 0
    _exempt_past: int = 0
    is_answering: bool = False

    @classmethod
    def new(cls, burst: int, now: float) -> "Inbox":
        """Return an empty inbox whose client may send `burst` frames at once."""
        return cls(TokenBucket(burst, now))

    def __bool__(self) -> bool:
        return self._messages is not None

    def push(self, text: str) -> None:
        """Append a message, to be answered after those before it."""
        if self._messages is None:
            self._messages = deque()
        self._messages.append(text)

    def pop(self) -> str:
        """Remove and return the message that has waited longest. Raises IndexError if none waits."""
        if self._messages is None:
            raise IndexError("no message waits")
        first = self._messages.popleft()
        if not self._messages:
            self._messages = None
        return first

    def take(self, now: float, limits: MessageLimits) -> float:
        """Count one frame toward the client's message rate, and return how many frames the client may still send at
        once. A negative number means that it sends too fast.
        """
        return self._bucket.take(now, limits.rate_per_s, limits.burst)

    def exempt(self, window: AckWindow, seq: int) -> bool:
        """Return whether an ack for `seq` is exempt from metering: it acknowledges a pending item that no earlier ack
        acknowledges. So a client may acknowledge every item by itself. One more ack is exempt for each item from the
        past of a channel, because clients acknowledge those too.

        Earlier acks may still wait in this inbox, so the window alone does not tell.
        """
        if window.has_pending(self._exempt_seq, seq):
            self._exempt_seq = seq
            return True
        if self._exempt_past >= window.past_items:
            return False
        self._exempt_past += 1
        return True

    def take_invalid(self, now: float, limits: MessageLimits) -> bool:
        """Meter a message that could not be understood; return whether the client
        has exceeded `max_invalid_per_min`.
        """
        most = limits.max_invalid_per_min
        if self._invalid is None:
            self._invalid = TokenBucket(most, now)
        return self._invalid.take(now, most / _MINUTE_S, most) < 0
