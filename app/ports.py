"""What flows need of the world. This file owns the ports; adapters and the tests' fakes pass the same suites.

A port stands here once it has a second implementation: SQLite and memory for the stores, the system's clock and a
hand-set one, a socket and a recording for links and receivers.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from app.core.closing import Ending
from app.core.identity import Identity
from app.core.news import NewsItem
from app.core.resuming import Position
from app.core.subscription import Subscription


class Record(NamedTuple):
    """An item in the log: its place, when it was accepted (Unix seconds), its JSON as every client gets it.

    The trace is known until the process ends; it is not stored.
    """

    seq: int
    accepted_at: float
    item: NewsItem
    item_json: bytes
    trace_id: str = ""


class Appended(NamedTuple):
    """What became of an item that was handed to the log; of a duplicate, the first one's id and seq."""

    id: str
    seq: int
    is_duplicate: bool


class Entry(NamedTuple):
    """An item to append, when it was accepted (Unix seconds), and what makes a second one with its link a duplicate."""

    item: NewsItem
    url_key: str
    accepted_at: float
    trace_id: str = ""


class NewsQuery(NamedTuple):
    """Which stored items to give: every condition that is not None holds. Newest first, by `published_at`, then seq.

    With `after_seq` or `before_seq` the order is by seq, so that pages neither overlap nor skip while news arrives;
    `older_than` goes on in the usual order behind an item's (published_at, seq).
    """

    limit: int = 50
    offset: int = 0
    category: str | None = None
    min_impact: float | None = None
    source: str | None = None
    ticker: str | None = None
    person: str | None = None
    start_time: float | None = None
    end_time: float | None = None
    after_seq: int | None = None
    before_seq: int | None = None
    older_than: tuple[float, int] | None = None


class NewsTotals(NamedTuple):
    """What the log holds; times in Unix seconds."""

    items: int
    items_since: int
    average_impact: float


class NewsLog(Protocol):
    """The durable, ordered log of items: seq 1, 2, 3 … without gaps, assigned inside the commit by one writer."""

    @property
    def epoch(self) -> str:
        """Name this log; another log has another epoch, and its seqs mean something else."""

    @property
    def head(self) -> int:
        """Give the newest seq, 0 when nothing was ever stored."""

    @property
    def oldest(self) -> int:
        """Give the oldest seq still stored, head + 1 when nothing is."""

    @property
    def oldest_at(self) -> float:
        """Give when the oldest item still stored was accepted (Unix seconds), 0 when nothing is."""

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Store all entries durably or none; return once they are on disk. Raises Ours(STORAGE_FULL)."""

    async def read(self, after: int, limit: int) -> list[Record]:
        """Give up to `limit` items with a seq above `after`, in order."""

    def follow(self, after: int) -> AsyncIterator[Sequence[Record]]:
        """Give every item with a seq above `after`, in order, for ever, as soon as it is durable."""

    async def by_id(self, item_id: str) -> Record | None:
        """Give the item of this id."""

    async def select(self, query: NewsQuery) -> list[Record]:
        """Give one page of stored items."""

    async def count(self, query: NewsQuery) -> int:
        """Count what the query's conditions select, whatever its limit and offset."""

    async def totals(self, since: float) -> NewsTotals:
        """Count the items, and those published since a time."""

    async def prune(self, accepted_before: float, keep_items: int, limit: int) -> int:
        """Drop up to `limit` of the oldest items that are too old or too many; give how many went."""


class CorruptSubscription(Exception):
    """A stored subscription cannot be read; nothing may be delivered on its account."""


class SubscriptionStore(Protocol):
    """Users' stored filters by channel."""

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        """Give a stored subscription. Raises CorruptSubscription."""

    async def load_channels(self, user_id: str) -> list[Subscription]:
        """Give every stored subscription of a user, `default` first. Raises CorruptSubscription."""

    async def save(self, subscription: Subscription) -> Subscription:
        """Store durably, in place of the one before, and give what is stored now: the first `created_at` stays."""

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        """Forget a channel of a user, or every channel; False when there was none."""


class Cursor(NamedTuple):
    """Up to where a device acknowledged everything, and when it last did (Unix seconds)."""

    user_id: str
    device_id: str
    position: Position
    updated_at: float


class CursorStore(Protocol):
    """Where devices stand in the log."""

    async def load(self, user_id: str, device_id: str) -> Cursor | None:
        """Give a device's cursor."""

    async def save(self, cursors: Sequence[Cursor]) -> None:
        """Store cursors durably, each in place of its device's one before. Raises Ours(STORAGE_FULL)."""

    async def prune(self, updated_before: float, limit: int) -> int:
        """Forget up to `limit` cursors that nobody moved since a time (Unix seconds); give how many went."""


class RevocationStore(Protocol):
    """Which tokens are believed no more: by user, those that were issued until a time (Unix seconds)."""

    async def load(self) -> dict[str, float]:
        """Give that time of every user who has one."""

    async def save(self, user_id: str, issued_before: float, forget_before: float) -> None:
        """Store a user's time durably, and drop those of others before `forget_before`. Raises Ours(STORAGE_FULL)."""


class Stores(NamedTuple):
    """What outlives the process, or stands in for it, and how it is doing; `file_sizes` gives bytes by file."""

    log: NewsLog
    subscriptions: SubscriptionStore
    cursors: CursorStore
    revocations: RevocationStore
    is_writable: Callable[[], bool] = lambda: True
    pending_operations: Callable[[], float] = lambda: 0.0
    file_sizes: Callable[[], Mapping[str, float]] = lambda: {"main": 0.0, "wal": 0.0}


class Clock(Protocol):
    """The time, and nobody else may ask for it."""

    def monotonic(self) -> float:
        """Give seconds that never jump."""

    def wall(self) -> float:
        """Give Unix seconds."""

    async def sleep(self, delay_s: float) -> None:
        """Wait."""


Handle = object
"""What a volley writes to: whatever a link gives, and only the volley looks inside."""


class Volley(Protocol):
    """The same bytes to many sockets at once, past their links: little more than a system call for each."""

    def __call__(self, handles: Sequence[Handle | None], frame: bytes) -> list[int]:
        """Write to every handle, in order; give how many bytes each took, 0 where it took none, is gone, or is None."""


class Link(Protocol):
    """One client's socket, as a session sees it. No method waits for the client."""

    @property
    def handle(self) -> Handle | None:
        """Give what a volley writes to; None while anything waits here that has to go first, or once it is closing."""

    def write(self, frame: bytes) -> bool:
        """Hand bytes to the transport; False when it is closing and they went nowhere."""

    def gather(self, room_bytes: int) -> None:
        """Let so many bytes wait before `on_wait` is told, and a quarter be left when `on_room` is; 0: tell of any."""

    def buffered(self) -> int:
        """Give the bytes that the client has not taken yet and the kernel would not either."""

    def close(self, ending: Ending) -> None:
        """Send a close frame and abort the transport if the client does not answer within a second."""

    def abort(self) -> None:
        """Drop the transport now."""


class Verifier(Protocol):
    """Who believes tokens, where they are asked for."""

    async def verify(self, token: str) -> Identity:
        """Give who a token speaks for. Raises Theirs(UNAUTHORIZED, TOKEN_EXPIRED), Ours where it cannot be known."""


class Receiver(Protocol):
    """The client's end of the canary's connection."""

    async def receive(self) -> bytes:
        """Wait for the next message and give its payload. Raises OSError once the connection is lost."""
