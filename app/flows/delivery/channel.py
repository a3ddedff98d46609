"""The channels of a connection: each is one filter under a name."""

from app.core.filters.analysis import CompiledFilter
from app.core.filters.filter import DEFAULT_CHANNEL, Filter


class Channel:
    """One filter of a connection, under a name.

    `filter` is None until it is loaded, and stays None if the stored filter cannot be read. It applies to items after
    `filter_seq`. If `tracks_stored` is set, the channel has the user's stored filter and follows its changes.
    `compiled` caches a filter and its compiled form while the connection is not live. `cursor` is the seq up to which
    the channel has evaluated items; it is valid only while the connection is not live. `slot` is the channel's slot in
    the filter index, -1 while it has none. `matched` counts matching items, but only if the connection does not use
    shared frames.
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
    """The channels of a connection. It is a tuple, because most connections have one channel and a dict takes four
    times the memory.
    """

    __slots__ = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self)

    @property
    def has_named(self) -> bool:
        """Return whether there is a channel other than `default`. If so, item messages must list the channels that
        match.
        """
        return any(channel.name != DEFAULT_CHANNEL for channel in self)

    @property
    def has_unreadable_filter(self) -> bool:
        return any(channel.filter is None for channel in self)

    def find(self, name: str) -> Channel | None:
        """Return the channel of this name, or None."""
        return next((channel for channel in self if channel.name == name), None)
