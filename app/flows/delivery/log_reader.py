"""The state of one connection's catch-up: what its client took, what was sent to it, and which item failed."""

import asyncio


class LogReader:
    """The state of the task that reads the log for one connection; dropped when the connection goes live or ends.

    `woken` is set to make the task check again whether the client can be sent more. `progress_at` is when the client
    last took bytes or had none to take (monotonic seconds). `replayed` counts the items sent from the log. `failed_seq`
    is the seq of the last item whose evaluation or encoding failed, 0 before the first.
    """

    __slots__ = ("failed_seq", "is_lag_announced", "progress_at", "replayed", "sent", "untaken", "woken")

    def __init__(self, untaken: int, now: float) -> None:
        self.woken = asyncio.Event()
        # `untaken` is the number of bytes in the link's buffer at the last call of `bytes_taken`, and `sent` the bytes
        # of items written since then.
        self.untaken = untaken
        self.sent = 0
        self.progress_at = now
        self.replayed = self.failed_seq = 0
        self.is_lag_announced = False

    def bytes_taken(self, untaken: int) -> int:
        """Return a lower bound of the bytes that the client took since the last call; `untaken` is how many its link
        buffers now.

        The client may have taken more, because messages other than items from the log are not counted as sent.
        """
        taken = self.untaken + self.sent - untaken
        self.untaken, self.sent = untaken, 0
        return taken
