"""Totals of unsent bytes, unread items and missing acks over all connections, computed at a scrape."""

from typing import NamedTuple

from app.core.delivery.phases import Phase
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.live import LiveSet

# A connection with more unsent bytes than this counts as paused: its client takes less than is written.
_PAUSED_BYTES = 64 * 1024


class SendBuffers(NamedTuple):
    """Totals over all connections, in the order of SEND_BUFFER_GAUGES.

    `bytes` and `max_bytes` are the unsent bytes of all connections and of the connection with the most; `paused` counts
    connections with more than 64 KiB unsent. `max_behind_items` is the largest number of broadcast items that a
    connection still has to read from the log, and `unacked_items` the number of items that were sent and not
    acknowledged.
    """

    bytes: int
    max_bytes: int
    paused: int
    max_behind_items: int
    unacked_items: int


def measure(manager: ConnectionManager, live: LiveSet) -> SendBuffers:
    """Compute the totals over all connections that are open and not being disconnected."""
    sessions = manager.open_sessions()
    # Most buffers are empty: only sizes above 0 are kept.
    links = [session.link for session in sessions]
    sizes = [size for link in links if link is not None and (size := link.buffered_bytes())]
    # A connection whose token delays every item is behind on purpose, and does not count.
    slow = (one for one in sessions if one.phase is not Phase.LIVE and not one.token.entitled.min_delay_s)
    behind = [live.position - session.cursor for session in slow]
    unacked = sum(len(session.window) for session in sessions if session.window is not None)
    return SendBuffers(
        sum(sizes), max(sizes, default=0), sum(size > _PAUSED_BYTES for size in sizes), max([0, *behind]), unacked
    )


def count_phases(manager: ConnectionManager) -> dict[str, int]:
    """Return the number of open connections in each phase. Every phase except CLOSED is a key, also with 0."""
    counts = dict.fromkeys((Phase.REPLAYING.value, Phase.LIVE.value, Phase.LAGGING.value), 0)
    for session in manager.open_sessions():
        counts[session.phase.value] += 1
    return counts
