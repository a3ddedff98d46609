"""One connection's state: its user and device, its channels, where it is in the log, and how it ends.

Other modules read a session and change it through its methods only.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import msgspec

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.delivery.ack_window import AckWindow
from app.core.delivery.phases import NEXT_PHASE, Phase, PhaseEvent
from app.core.delivery.positions import LogRange
from app.core.filters.analysis import CompiledFilter
from app.core.filters.filter import DEFAULT_CHANNEL, Filter
from app.core.protocol.close_codes import DisconnectReason
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.inbox import Inbox
from app.ports.transport import Link


class ClientOptions(NamedTuple):
    """What a client negotiated at the upgrade; the window is the one that its payloads are compressed with."""

    is_v2: bool = False
    uses_acks: bool = False
    deflate_window_bits: int = UNCOMPRESSED


class TokenState(msgspec.Struct, frozen=True, gc=False):
    """What a connection's token allows, when it expires (Unix seconds, None: never), and whether the
    client was warned.
    """

    entitled: Entitlement = UNRESTRICTED
    expires_at: float | None = None
    is_expiry_announced: bool = False


NO_TOKEN = TokenState()


def token_state(entitled: Entitlement, expires_at: float | None) -> TokenState:
    """Return the state of a token; connections without a token share one."""
    state = TokenState(entitled, expires_at)
    return NO_TOKEN if state == NO_TOKEN else state


@cache
def client_options(is_v2: bool, uses_acks: bool, deflate_window_bits: int) -> ClientOptions:
    """Return the options that all connections with the same ones share."""
    return ClientOptions(is_v2, uses_acks, deflate_window_bits)


class Channel:
    """One filter of a connection, under a name.

    `filter` is None until it is loaded, and stays None if the stored one cannot be read. A channel that `tracks_stored`
    has the user's stored filter, also after that changes. While the connection is not live, items up to `cursor` are
    decided. Items up to `filter_seq` were decided by an earlier filter. `compiled` caches the filter, compiled.
    """

    __slots__ = ("compiled", "cursor", "filter", "filter_seq", "matched", "name", "slot", "tracks_stored")

    def __init__(self, name: str, filter: Filter | None = None, *, tracks_stored: bool = True) -> None:
        self.name = name
        self.filter = filter
        self.compiled: tuple[Filter, CompiledFilter] | None = None
        self.tracks_stored = tracks_stored
        self.slot = -1
        self.cursor = self.filter_seq = 0
        self.matched = 0


class ChannelSet(tuple[Channel, ...]):
    """A connection's channels. A tuple: most connections have one channel, and a dict takes four times the memory."""

    __slots__ = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self)

    @property
    def has_named(self) -> bool:
        """Return whether there is another channel than `default`, so that items must name their channels."""
        return any(channel.name != DEFAULT_CHANNEL for channel in self)

    @property
    def has_unreadable_filter(self) -> bool:
        return any(channel.filter is None for channel in self)

    def find(self, name: str) -> Channel | None:
        """Return the channel of this name."""
        return next((channel for channel in self if channel.name == name), None)


class Session:
    """A connection: admitted before the upgrade, open once it has a link, over once it has a `disconnect_reason`.

    Times are monotonic seconds. Items up to `opened_seq` are not for this connection; up to `checkpoint_seq` its client
    was told that it has everything. `base_cursor` is its place in the log while it has no channel. `delivered` counts
    items since the last checkpoint, apart from those that `Slots` counts for it, and `sent` those before it.
    """

    __slots__ = (
        "base_cursor",
        "channels",
        "checkpoint_seq",
        "delivered",
        "device_id",
        "disconnect_reason",
        "id",
        "inbox",
        "ip",
        "last_received_at",
        "last_written_at",
        "link",
        "opened_at",
        "opened_seq",
        "options",
        "phase",
        "pinged_at",
        "probed_at",
        "sent",
        "start",
        "token",
        "user_id",
        "uses_shared_frames",
        "window",
    )

    def __init__(
        self, connection_id: str, user_id: str, now: float, device_id: str | None = None, ip: str = ""
    ) -> None:
        self.id = connection_id
        self.user_id = user_id
        self.device_id = device_id
        # The address that the connection is counted for; "" for none.
        self.ip = ip
        self.options = ClientOptions()
        self.token = NO_TOKEN
        self.opened_at = self.last_received_at = self.last_written_at = self.pinged_at = now
        self.probed_at = 0.0
        self.link: Link[Session] | None = None
        self.inbox: Inbox | None = None
        self.phase = Phase.REPLAYING
        self.disconnect_reason: DisconnectReason | None = None
        self.channels = ChannelSet([Channel(DEFAULT_CHANNEL)])
        # One channel without a name and no acks: this connection is sent the frame that thousands are sent.
        self.uses_shared_frames = True
        self.window: AckWindow | None = None
        # None: the connection starts with the next item that is broadcast.
        self.start: LogRange | None = None
        self.opened_seq = self.checkpoint_seq = self.base_cursor = 0
        self.delivered = self.sent = 0

    @property
    def cursor(self) -> int:
        """Return the seq up to which every channel has been decided, while the connection is not live."""
        return min((channel.cursor for channel in self.channels), default=self.base_cursor)

    def configure(
        self,
        channels: Iterable[Channel],
        options: ClientOptions = ClientOptions(),  # noqa: B008 - immutable
        token: TokenState = NO_TOKEN,
        inbox: Inbox | None = None,
    ) -> None:
        """Set what the client asked for, before the connection opens. Of two channels with one name the last counts."""
        self.options, self.token, self.inbox = options, token, inbox
        self.channels = ChannelSet({channel.name: channel for channel in channels}.values())
        if self.channels.has_named:
            self._count_per_channel()

    def start_at(self, start: LogRange) -> None:
        """Set where in the log the connection starts."""
        self.start = start

    def use_token(self, token: TokenState) -> None:
        """Replace the token, or remember that its expiry was announced."""
        self.token = token

    def use_acks(self, window: AckWindow) -> None:
        self.window = window
        self._count_per_channel()

    def open(self, link: Link["Session"], seq: int | None = None) -> None:
        """Attach the socket; the connection gets items after `seq`."""
        self.link = link
        if seq is not None:
            self.opened_seq = self.checkpoint_seq = seq
            self.move_cursors(seq)
            for channel in self.channels:
                channel.filter_seq = seq

    def add_channel(self, channel: Channel) -> None:
        """Add a channel to an open connection; from now on each channel counts its own items."""
        self._count_per_channel()
        self.channels = ChannelSet((*self.channels, channel))

    def drop_channel(self, channel: Channel, seq: int) -> None:
        """Remove a channel; `seq` is where the connection is in the log, in case it has no channel left."""
        self.base_cursor = seq
        self.channels = ChannelSet(one for one in self.channels if one is not channel)

    def receive(self, now: float, burst: int) -> Inbox:
        """Note that the client sent something, and return the inbox, which is made with the first frame."""
        self.last_received_at = now
        if self.inbox is None:
            self.inbox = Inbox(burst, now)
        return self.inbox

    def wrote(self, now: float, items: int = 0) -> None:
        """Note that something was written, and how many of it were items."""
        if now > self.last_written_at:
            self.last_written_at = now
        self.delivered += items

    def pinged(self, now: float, *, is_probe: bool = False) -> None:
        """Note that the client was pinged; a probe has to be answered soon."""
        self.pinged_at = now
        if is_probe:
            self.probed_at = now

    def add_delivered(self, items: int) -> None:
        """Move a count of items from `Slots` to the session, or back if it is negative."""
        self.delivered += items

    def checkpointed(self, seq: int, delivered: int) -> None:
        """Note that the client was told to have everything up to `seq`, `delivered` items since the last time."""
        self.sent += delivered
        self.checkpoint_seq = seq

    def transition(self, event: PhaseEvent) -> None:
        """Move to the next phase. Raises KeyError if there is no such transition."""
        self.phase = NEXT_PHASE[self.phase, event]

    def move_cursors(self, seq: int) -> None:
        """Set the seq up to which every channel has been decided; items after it are decided, perhaps again."""
        self.base_cursor = seq
        for channel in self.channels:
            channel.cursor = seq

    def advance(self, seq: int) -> list[Channel]:
        """Move on to an item that was read from the log; return the channels that have not decided it yet."""
        self.base_cursor = seq
        undecided = [channel for channel in self.channels if channel.cursor < seq]
        for channel in undecided:
            channel.cursor = seq
        return undecided

    def end(self, reason: DisconnectReason) -> None:
        """Begin to disconnect: the first reason counts, and the socket is gone within a second."""
        if self.disconnect_reason is None:
            self.closed(reason)
            if self.link is not None:
                self.link.close(reason)

    def closed(self, reason: DisconnectReason) -> None:
        """Note that the connection is over; an earlier reason is kept."""
        self.disconnect_reason = self.disconnect_reason or reason
        self.transition(PhaseEvent.ENDED)

    def _count_per_channel(self) -> None:
        """Let each channel count its own items from now on; until now there was one channel."""
        if self.uses_shared_frames:
            self.uses_shared_frames = False
            for channel in self.channels:
                channel.matched = self.sent + self.delivered if channel.name == DEFAULT_CHANNEL else 0


def resumes(session: Session) -> bool:
    """Return whether the client asked for what it missed."""
    return session.start is not None and session.start.is_requested


def is_window_full(session: Session, max_items: int) -> bool:
    """Return whether nothing new may be sent until the client acknowledges something."""
    return session.window is not None and len(session.window) >= max_items


def buffered_bytes(session: Session) -> int:
    """Return how many bytes the client has yet to take."""
    return session.link.buffered_bytes() if session.link is not None else 0
