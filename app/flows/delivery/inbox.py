"""What one client sent: messages that wait for an answer, and the buckets that meter its frames."""

from collections import deque

from app.core.limits import MessageLimits
from app.core.rate_limiter import TokenBucket

_MINUTE_S = 60.0


class Inbox:
    """Made with the first frame, so that a connection that only listens has none. Times are monotonic seconds."""

    __slots__ = ("_bucket", "_exempt_frames", "_invalid", "_messages", "is_answering")

    def __init__(self, burst: int, now: float) -> None:
        self._bucket = TokenBucket(burst, now)
        self._invalid: TokenBucket | None = None
        # None while it is empty: an empty deque takes 760 bytes.
        self._messages: deque[str] | None = None
        self._exempt_frames = 0
        self.is_answering = False

    def __bool__(self) -> bool:
        return self._messages is not None

    def push(self, text: str) -> None:
        """Let a message wait until those before it are answered."""
        if self._messages is None:
            self._messages = deque()
        self._messages.append(text)

    def pop(self) -> str:
        """Return the message that has waited longest. Raises IndexError if none waits."""
        if self._messages is None:
            raise IndexError("no message waits")
        first = self._messages.popleft()
        if not self._messages:
            self._messages = None
        return first

    def take(self, now: float, limits: MessageLimits) -> float:
        """Meter one frame; return how many are left in the burst, below 0 for too fast."""
        return self._bucket.take(now, limits.rate_per_s, limits.burst)

    def exempt(self, items: int) -> bool:
        """Return whether a frame is not metered: one frame for each of the `items` sent is what acks take."""
        if self._exempt_frames >= items:
            return False
        self._exempt_frames += 1
        return True

    def take_invalid(self, now: float, limits: MessageLimits) -> bool:
        """Meter a message that could not be understood; return whether there were too many."""
        most = limits.max_invalid_per_min
        if self._invalid is None:
            self._invalid = TokenBucket(most, now)
        return self._invalid.take(now, most / _MINUTE_S, most) < 0
