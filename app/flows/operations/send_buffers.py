"""What clients have not taken yet. This file owns the look over all connections that gauges take at scrape."""

from typing import NamedTuple

from app.core.delivery.phases import Phase
from app.flows.connections.manager import ConnectionManager

# From here on a connection counts as paused: its client takes less than is written.
_PAUSED_BYTES = 64 * 1024


class SendBuffers(NamedTuple):
    """Over all connections: bytes that wait, in all and in the fullest buffer; buffers that hold more than a little;
    how far the furthest is behind; how many items wait for an ack."""

    bytes: int
    most_bytes: int
    paused: int
    most_behind_items: int
    unacked_items: int


def measure(connections: ConnectionManager) -> SendBuffers:
    """Look at every connection."""
    sessions = connections.open_sessions()
    # Most hold nothing: only what is left is looked at twice.
    links = [session.link for session in sessions]
    sizes = [size for link in links if link is not None and (size := link.buffered_bytes())]
    # Who sees everything late is behind because it has to be.
    slow = (one for one in sessions if one.phase is not Phase.LIVE and not one.entitled.min_delay_s)
    behind = [connections.position - session.cursor for session in slow]
    unacked = sum(len(session.window) for session in sessions if session.window is not None)
    return SendBuffers(
        sum(sizes), max(sizes, default=0), sum(size > _PAUSED_BYTES for size in sizes), max([0, *behind]), unacked
    )


def count_phases(connections: ConnectionManager) -> dict[str, int]:
    """Count the open connections by phase."""
    counts = dict.fromkeys((Phase.REPLAYING.value, Phase.LIVE.value, Phase.LAGGING.value), 0)
    for session in connections.open_sessions():
        counts[session.phase.value] += 1
    return counts
