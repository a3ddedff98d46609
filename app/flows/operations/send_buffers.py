"""Figures on how far clients are behind, over all connections and computed at a scrape: unsent bytes, items not read
from the log yet, and missing acks.
"""

from typing import NamedTuple

from app.core.delivery.phases import Phase
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.live import LiveSet

# A connection with more unsent bytes than this counts as paused: its client takes less than is written.
_PAUSED_BYTES = 64 * 1024


class SendBuffers(NamedTuple):
    """Figures over all connections, in the order of SEND_BUFFER_GAUGES.

    `bytes` is the number of unsent bytes of all connections together. `max_bytes` is the largest number of unsent bytes
    of one connection. `paused` is the number of connections with more than 64 KiB unsent. `max_behind_items` is the
    largest number of broadcast items that a connection still has to read from the log. `unacked_items` is the number of
    items that were sent and not acknowledged.
    """

    bytes: int
    max_bytes: int
    paused: int
    max_behind_items: int
    unacked_items: int


def measure(manager: ConnectionManager, live: LiveSet) -> SendBuffers:
    """Return the figures over all connections that are open and not being disconnected."""
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
    """Return the number of open connections in each phase. The result has every phase except CLOSED, even those whose
    number is 0.
    """
    counts = dict.fromkeys((Phase.REPLAYING.value, Phase.LIVE.value, Phase.LAGGING.value), 0)
    for session in manager.open_sessions():
        counts[session.phase.value] += 1
    return counts
