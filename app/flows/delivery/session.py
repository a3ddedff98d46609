"""One connection's life. This file owns what the server knows about a connection and its channels, and how it ends."""

from collections.abc import Iterable

from app.core.access.entitlement import UNRESTRICTED
from app.core.delivery.ack_window import AckWindow
from app.core.delivery.phases import NEXT_PHASE, Phase, PhaseEvent
from app.core.delivery.positions import LogRange
from app.core.filters.analysis import CompiledFilter
from app.core.filters.filter import DEFAULT_CHANNEL, Filter
from app.core.limits import Limits, TokenBucket
from app.core.protocol.close_codes import DisconnectReason
from app.core.protocol.deflate import UNCOMPRESSED
from app.ports.transport import Link


class Channel:
    """One filter of a connection, under a name.

    `wants` is None until it is known, and stays None when the stored filter is broken. A channel that `follows` has the
    user's stored filter, whatever that becomes. Items up to `passed` are decided, while the connection is not live;
    those up to `wants_seq` were decided by a filter that is not known any more. `read` is the filter, read once.
    """

    __slots__ = ("compiled", "cursor", "filter", "filter_seq", "matched", "name", "slot", "tracks_stored")

    def __init__(self, name: str, wants: Filter | None = None, *, follows: bool = True) -> None:
        self.name = name
        self.filter = wants
        self.compiled: tuple[Filter, CompiledFilter] | None = None
        self.tracks_stored = follows
        self.slot = -1
        self.cursor = self.filter_seq = 0
        self.matched = 0


class Session:
    """A connection: seated before the upgrade, open with a link and slots, over once `ending` is set.

    Times are monotonic seconds.
    """

    __slots__ = (
        "answered",
        "base_cursor",
        "bucket",
        "channels",
        "checkpoint_seq",
        "delivered",
        "device_id",
        "ending",
        "entitled",
        "expires_at",
        "id",
        "inbox",
        "ip",
        "is_answering",
        "is_expiry_told",
        "is_lag_told",
        "is_v2",
        "last_received_at",
        "last_written_at",
        "link",
        "mistakes",
        "opened_at",
        "opened_seq",
        "phase",
        "pinged_at",
        "probed_at",
        "progress_at",
        "replayed",
        "sent",
        "start",
        "user_id",
        "uses_shared_frames",
        "wants_acks",
        "window",
        "window_bits",
    )

    def __init__(
        self, connection_id: str, user_id: str, now: float, message_burst: int, device_id: str | None = None
    ) -> None:
        self.id = connection_id
        self.user_id = user_id
        self.device_id = device_id
        # What it is counted for; "" for nothing.
        self.ip = ""
        self.opened_at = self.last_received_at = self.last_written_at = self.pinged_at = self.progress_at = now
        # When it was last asked, out of turn, whether it is there.
        self.probed_at = 0.0
        self.bucket = TokenBucket(message_burst, now)
        self.link: Link | None = None
        # Meters what it says that nobody can read; made with the first.
        self.mistakes: TokenBucket | None = None
        self.is_v2 = self.wants_acks = False
        # How its payloads are compressed.
        self.window_bits = UNCOMPRESSED
        # When its token ends (Unix seconds), None: never, and what it lets it see.
        self.expires_at: float | None = None
        self.entitled = UNRESTRICTED
        self.phase = Phase.REPLAYING
        self.ending: DisconnectReason | None = None
        # A tuple: most have one, and a dict is four times as large.
        self.channels: tuple[Channel, ...] = ()
        # One unnamed channel and no acks: what is written to it is written to thousands.
        self.uses_shared_frames = True
        self.window: AckWindow | None = None
        # Frames that came for want of acks: they are not metered.
        self.answered = 0
        # Items since the last checkpoint that are not noted by its slot (`Slots.delivered`), and those before it.
        self.delivered = self.sent = 0
        self.use_channels([Channel(DEFAULT_CHANNEL)])
        self.checkpoint_seq = 0
        # Where it begins; None begins at what is broadcast next. Items up to `opened_seq` are not for this connection.
        self.start: LogRange | None = None
        self.opened_seq = 0
        # Where it stands when it has no channel.
        self.base_cursor = 0
        # Items so far, while it reads the log.
        self.replayed = 0
        self.is_lag_told = self.is_expiry_told = False
        # A tuple: most are empty, and the empty one is everybody's.
        self.inbox: tuple[str, ...] = ()
        self.is_answering = False

    @property
    def cursor(self) -> int:
        """Give up to where items are decided for every channel, while the connection is not live."""
        return min((channel.cursor for channel in self.channels), default=self.base_cursor)

    @property
    def has_unreadable_filter(self) -> bool:
        """Say whether a filter cannot be read."""
        return any(channel.filter is None for channel in self.channels)

    @property
    def has_named_channels(self) -> bool:
        """Say whether items have to name their channels."""
        return any(channel.name != DEFAULT_CHANNEL for channel in self.channels)

    @property
    def asks_nothing(self) -> bool:
        """Say whether the client did not ask for what it missed."""
        return self.start is None or not self.start.is_requested

    @property
    def accepts_gaps(self) -> bool:
        """Say whether the client knows what a gap is: it speaks v2, or asked for what it missed."""
        return self.is_v2 or not self.asks_nothing

    def use_channels(self, channels: Iterable[Channel]) -> None:
        """Choose all of the connection's channels, before it opens."""
        self.channels = tuple({channel.name: channel for channel in channels}.values())
        self._update_frame_sharing()

    def add_channel(self, channel: Channel) -> None:
        """Add one to an open connection: from here on each counts for itself."""
        self._count_per_channel()
        self.channels = (*self.channels, channel)

    def drop_channel(self, channel: Channel) -> None:
        self.channels = tuple(one for one in self.channels if one is not channel)

    def channel(self, name: str) -> Channel | None:
        """Give the channel of this name, if there is one."""
        return next((channel for channel in self.channels if channel.name == name), None)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Give the names of the channels."""
        return tuple(channel.name for channel in self.channels)

    def queue_message(self, text: str) -> None:
        """Let a message wait until those before it are answered."""
        self.inbox = (*self.inbox, text)

    def next_message(self) -> str:
        """Give the message that has waited longest."""
        first, *rest = self.inbox
        self.inbox = tuple(rest)
        return first

    def use_acks(self, window: AckWindow) -> None:
        self.window = window
        self._update_frame_sharing()

    def _update_frame_sharing(self) -> None:
        """Look again whether items go to this connection in the frame that everybody gets."""
        if self.window is not None or self.has_named_channels:
            self._count_per_channel()

    def _count_per_channel(self) -> None:
        """From here on let every channel count for itself; so far there was one."""
        if self.uses_shared_frames:
            self.uses_shared_frames = False
            for channel in self.channels:
                channel.matched = self.sent + self.delivered if channel.name == DEFAULT_CHANNEL else 0

    def matched_on(self, channel: Channel, delivered: int) -> int:
        """Count the items that a channel wanted since it was joined, `delivered` of them since the last checkpoint."""
        return self.sent + delivered if self.uses_shared_frames else channel.matched

    def is_window_full(self, limits: Limits) -> bool:
        """Say whether nothing new may be sent until something is acknowledged."""
        return self.window is not None and len(self.window) >= limits.window_items

    def transition(self, event: PhaseEvent) -> None:
        """Go to the next phase."""
        self.phase = NEXT_PHASE[self.phase, event]

    def move_cursors(self, seq: int) -> None:
        """Say that items up to `seq` are decided for every channel; going back, that they are to be decided again."""
        self.base_cursor = seq
        for channel in self.channels:
            channel.cursor = seq

    def end(self, ending: DisconnectReason) -> None:
        """Begin to end: the first reason stays, and the socket goes within a second."""
        if self.ending is None:
            self.ending = ending
            self.transition(PhaseEvent.ENDED)
            if self.link is not None:
                self.link.close(ending)
