"""One connection's life. This file owns what the server knows about a connection, and how it ends."""

from collections import deque

from app.core.closing import Ending
from app.core.limits import TokenBucket
from app.core.subscription import Filter
from app.ports import Link


class Session:
    """A connection: seated before the upgrade, live with a link and a slot, over once `ending` is set.

    Times are monotonic seconds. `wants` is None until it is known, and stays None when the stored filter is broken.
    """

    __slots__ = (
        "bucket",
        "checkpoint_seq",
        "delivered",
        "device_id",
        "doubted_at",
        "ending",
        "has_own_filter",
        "heard_at",
        "id",
        "inbox",
        "is_answering",
        "is_broken",
        "link",
        "opened_at",
        "opened_seq",
        "pinged_at",
        "sent",
        "slot",
        "user_id",
        "wants",
        "wants_seq",
        "written_at",
    )

    def __init__(
        self, connection_id: str, user_id: str, now: float, message_burst: int, device_id: str | None = None
    ) -> None:
        self.id = connection_id
        self.user_id = user_id
        self.device_id = device_id
        self.opened_at = self.heard_at = self.written_at = self.pinged_at = now
        # When it was last asked, out of turn, whether it is there.
        self.doubted_at = 0.0
        self.bucket = TokenBucket(message_burst, now)
        self.link: Link | None = None
        self.slot = -1
        self.wants: Filter | None = None
        self.has_own_filter = False
        self.is_broken = False
        self.ending: Ending | None = None
        # Items since the last checkpoint, and those before it.
        self.delivered = 0
        self.sent = 0
        self.checkpoint_seq = 0
        # Items up to these went out before the connection was live, and before it had the filter that it has.
        self.opened_seq = self.wants_seq = 0
        self.inbox: deque[str] = deque()
        self.is_answering = False

    def end(self, ending: Ending) -> None:
        """Begin to end: the first reason stays, and the socket goes within a second."""
        if self.ending is None:
            self.ending = ending
            if self.link is not None:
                self.link.close(ending)
