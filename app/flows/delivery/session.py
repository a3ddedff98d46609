"""The state of one connection: its user and device, its channels, where it is in the log, and why it ends.

Other modules read a session's fields but change them only through its methods. They may assign the fields of a
`Channel`.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import msgspec

from app.core.access.entitlement import UNRESTRICTED, Entitlement
from app.core.delivery.ack_window import AckWindow
from app.core.delivery.phases import NEXT_PHASE, Phase, PhaseEvent
from app.core.delivery.positions import LogRange
from app.core.filters.filter import DEFAULT_CHANNEL
from app.core.protocol.close_codes import DisconnectReason
from app.core.protocol.deflate import UNCOMPRESSED
from app.flows.delivery.channel import Channel, ChannelSet
from app.flows.delivery.inbox import Inbox
from app.flows.delivery.peer import NO_PEER, Peer
from app.ports.transport import Link


class ClientOptions(NamedTuple):
    """What a client negotiated when it connected.

    `deflate_window_bits` is the deflate window with which items are compressed for the client. UNCOMPRESSED means that
    they are not compressed.
    """

    is_v2: bool = False
    uses_acks: bool = False
    deflate_window_bits: int = UNCOMPRESSED


class TokenState(msgspec.Struct, frozen=True, gc=False):
    """The state of a connection's token: what it allows, when it expires, and whether the client was warned of that.

    `expires_at` is in Unix seconds; None means never.
    """

    entitled: Entitlement = UNRESTRICTED
    expires_at: float | None = None
    is_expiry_announced: bool = False


NO_TOKEN = TokenState()


def token_state(entitled: Entitlement, expires_at: float | None) -> TokenState:
    """Return the state of a token. All connections without a token share one object, NO_TOKEN."""
    state = TokenState(entitled, expires_at)
    return NO_TOKEN if state == NO_TOKEN else state


@cache
def client_options(is_v2: bool, uses_acks: bool, deflate_window_bits: int) -> ClientOptions:
    """Return a cached ClientOptions, so that all connections with equal options share one object."""
    return ClientOptions(is_v2, uses_acks, deflate_window_bits)


class Session:
    """A connection: open once it has a link, over once it has a `disconnect_reason`. A session is created when its
    connection is admitted. Only the sessions of the canary and of pending connections are created without admission,
    and they never get items.

    Times are monotonic seconds. The connection starts with the items after `opened_seq`. `checkpoint_seq` is the seq up
    to which the client was last told that it has everything. `base_cursor` is the connection's place in the log while
    it has no channel. `sent` is the number of items sent up to the last checkpoint, and `delivered` the number sent
    since then. While the connection is live and uses shared frames, `Slots` counts the items since the last checkpoint
    instead.
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
        "last_received_at",
        "last_written_at",
        "link",
        "opened_at",
        "opened_seq",
        "options",
        "peer",
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
        self, connection_id: str, user_id: str, now: float, device_id: str | None = None, peer: Peer = NO_PEER
    ) -> None:
        self.id = connection_id
        self.user_id = user_id
        self.device_id = device_id
        self.peer = peer
        self.options = ClientOptions()
        self.token = NO_TOKEN
        self.opened_at = self.last_received_at = self.last_written_at = self.pinged_at = now
        self.probed_at = 0.0
        self.link: Link[Session] | None = None
        self.inbox: Inbox | None = None
        self.phase = Phase.REPLAYING
        self.disconnect_reason: DisconnectReason | None = None
        self.channels = ChannelSet([Channel(DEFAULT_CHANNEL)])
        # False once the connection has a named channel, has added a channel, or uses acks. Until then it is sent the
        # same frame as thousands of others.
        self.uses_shared_frames = True
        self.window: AckWindow | None = None
        # None: the connection starts with the next item that is broadcast.
        self.start: LogRange | None = None
        self.opened_seq = self.checkpoint_seq = self.base_cursor = 0
        self.delivered = self.sent = 0

    @property
    def cursor(self) -> int:
        """Return the seq up to which every channel has evaluated the items; it is valid only while the connection is
        not live.
        """
        return min((channel.cursor for channel in self.channels), default=self.base_cursor)

    def configure(
        self,
        channels: Iterable[Channel],
        options: ClientOptions = ClientOptions(),  # noqa: B008 - immutable
        token: TokenState = NO_TOKEN,
        inbox: Inbox | None = None,
    ) -> None:
        """Set what the client asked for, before the connection opens. Of two channels with the same name the last one
        is kept.
        """
        self.options, self.token, self.inbox = options, token, inbox
        self.channels = ChannelSet({channel.name: channel for channel in channels}.values())
        if self.channels.has_named:
            self._count_per_channel()

    def start_at(self, start: LogRange) -> None:
        """Set where in the log the connection starts."""
        self.start = start

    def use_token(self, token: TokenState) -> None:
        """Replace the token's state: by that of a newer token, or to record that the client was warned
        of its expiry.
        """
        self.token = token

    def use_acks(self, window: AckWindow) -> None:
        self.window = window
        self._count_per_channel()

    def open(self, link: Link["Session"], seq: int | None = None) -> None:
        """Attach the socket. The connection gets items after `seq`; `seq` is None for a connection that is not admitted
        and gets no items.
        """
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
        """Remove a channel. `seq` is the connection's place in the log, which is kept in case no channel is left."""
        self.base_cursor = seq
        self.channels = ChannelSet(one for one in self.channels if one is not channel)

    def receive(self, now: float, burst: int) -> Inbox:
        """Record that the client sent a frame, and return its inbox, which is created with the first frame."""
        self.last_received_at = now
        if self.inbox is None:
            self.inbox = Inbox.new(burst, now)
        return self.inbox

    def wrote(self, now: float, items: int = 0) -> None:
        """Record the time of a write, and how many items it contained."""
        if now > self.last_written_at:
            self.last_written_at = now
        self.delivered += items

    def pinged(self, now: float, *, is_probe: bool = False) -> None:
        """Record that the client was pinged. After a liveness probe (`is_probe`) the client must answer within
        `liveness_probe_timeout_s`.
        """
        self.pinged_at = now
        if is_probe:
            self.probed_at = now

    def add_delivered(self, items: int) -> None:
        """Add to the number of items since the last checkpoint; `items` is negative to move the count to `Slots` or to
        reset it.
        """
        self.delivered += items

    def checkpointed(self, seq: int, delivered: int) -> None:
        """Record that the client was told that it has everything up to `seq`, with `delivered` items since the previous
        checkpoint.

        The caller resets that count of items to 0.
        """
        self.sent += delivered
        self.checkpoint_seq = seq

    def transition(self, event: PhaseEvent) -> None:
        """Enter the phase that follows from an event. Raises KeyError if the event cannot occur in
        the present phase.
        """
        self.phase = NEXT_PHASE[self.phase, event]

    def move_cursors(self, seq: int) -> None:
        """Set the cursor of every channel to `seq`. Items after it will be evaluated, even if they were evaluated
        before.
        """
        self.base_cursor = seq
        for channel in self.channels:
            channel.cursor = seq

    def advance(self, seq: int) -> None:
        """Move every cursor that is before an item to the item, because all channels have evaluated it."""
        self.base_cursor = seq
        for channel in undecided(self, seq):
            channel.cursor = seq

    def end(self, reason: DisconnectReason) -> None:
        """Record why the connection ends and close its link; the socket is closed within a second.

        Does nothing if a reason is already recorded.
        """
        if self.disconnect_reason is None:
            self.closed(reason)
            if self.link is not None:
                self.link.close(reason)

    def closed(self, reason: DisconnectReason) -> None:
        """Record that the connection is over and enter the phase CLOSED; an earlier reason is kept."""
        self.disconnect_reason = self.disconnect_reason or reason
        self.transition(PhaseEvent.ENDED)

    def _count_per_channel(self) -> None:
        """Count matches separately for each channel from now on. The count so far is that of `default`, the only
        channel until now.
        """
        if self.uses_shared_frames:
            self.uses_shared_frames = False
            for channel in self.channels:
                channel.matched = self.sent + self.delivered if channel.name == DEFAULT_CHANNEL else 0


def resumes(session: Session) -> bool:
    """Return whether the session starts at a place that its client asked for or, in ack mode, after its device's last
    ack.
    """
    return session.start is not None and session.start.is_requested


def undecided(session: Session, seq: int) -> list[Channel]:
    """Return the session's channels that have not evaluated an item yet which was read from the log."""
    return [channel for channel in session.channels if channel.cursor < seq]


def is_window_full(session: Session, max_items: int) -> bool:
    """Return whether `max_items` items or more are unacknowledged, so that no new item may be sent;
    False without acks.
    """
    return session.window is not None and len(session.window) >= max_items


def buffered_bytes(session: Session) -> int:
    """Return how many bytes wait in the session's link; 0 if it has no link."""
    return session.link.buffered_bytes() if session.link is not None else 0
