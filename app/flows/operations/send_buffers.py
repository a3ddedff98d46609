"""What clients have not taken yet: one look over all connections, for the gauges at scrape."""

from typing import NamedTuple

from app.core.delivery.phases import Phase
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.live import LiveSet

# A connection with more unsent bytes than this counts as paused: its client takes less than is written.
_PAUSED_BYTES = 64 * 1024


class SendBuffers(NamedTuple):
    """Totals over all connections.

    Unsent bytes in total and in the fullest buffer, the number of buffers that hold more than a little, how many items
    the connection furthest behind has to catch up, and how many items wait for an ack.
    """

    bytes: int
    max_bytes: int
    paused: int
    max_behind_items: int
    unacked_items: int


def measure(manager: ConnectionManager, live: LiveSet) -> SendBuffers:
    """Look at every connection."""
    sessions = manager.open_sessions()
    # Most buffers are empty: only the rest is looked at again.
    links = [session.link for session in sessions]
    sizes = [size for link in links if link is not None and (size := link.buffered_bytes())]
    # A connection that sees every item late is behind on purpose.
    slow = (one for one in sessions if one.phase is not Phase.LIVE and not one.token.entitled.min_delay_s)
    behind = [live.position - session.cursor for session in slow]
    unacked = sum(len(session.window) for session in sessions if session.window is not None)
    return SendBuffers(
        sum(sizes), max(sizes, default=0), sum(size > _PAUSED_BYTES for size in sizes), max([0, *behind]), unacked
    )


def count_phases(manager: ConnectionManager) -> dict[str, int]:
    """Count the open connections by phase."""
    counts = dict.fromkeys((Phase.REPLAYING.value, Phase.LIVE.value, Phase.LAGGING.value), 0)
    for session in manager.open_sessions():
        counts[session.phase.value] += 1
    return counts
