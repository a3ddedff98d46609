"""Whether a channel wants an item that is read back from the log. This file owns asking one filter at a time."""

import structlog

from app.core.entitlement import Entitlement
from app.core.matching import first_rejection
from app.core.news import NewsItem
from app.core.reading import Criteria, Reading, read_filter, read_item
from app.core.subscription import Filter
from app.flows.session import Channel
from app.ports import Record
from app.telemetry.stats import Stats

_REMEMBERED_READINGS = 512

_log = structlog.get_logger("judge")


class Judge:
    """Asks filters what they want; by definition the same that the index says (tests/core/test_index.py)."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        # Many read the same items: those read last are tokenised once.
        self._readings: dict[int, Reading] = {}

    def wants(self, channel: Channel, record: Record, entitled: Entitlement) -> bool:
        """Say whether a channel wants an item that its owner may see.

        A filter that cannot be read or asked wants nothing, and is counted.
        """
        if channel.wants is None:
            return False
        if record.item.impact_score < channel.wants.impact_threshold:
            # The first step, asked before the item is tokenised: most filters reject most items here.
            return False
        try:
            criteria = _criteria(channel, channel.wants, entitled)
            return first_rejection(self._reading(record.seq, record.item), criteria) is None
        # Fail closed, as live matching does.
        except Exception:  # noqa: BLE001
            _log.exception("match_failed", item_id=record.item.id, sequence=record.seq)
            self._stats.recovery.replay_errors += 1
            return False

    def _reading(self, seq: int, item: NewsItem) -> Reading:
        if seq not in self._readings:
            if len(self._readings) >= _REMEMBERED_READINGS:
                del self._readings[next(iter(self._readings))]
            self._readings[seq] = read_item(item)
        return self._readings[seq]


def _criteria(channel: Channel, wants: Filter, entitled: Entitlement) -> Criteria:
    """Read a channel's filter once, until it has another, or its owner may see something else."""
    if channel.read is None or channel.read[0] is not wants or channel.read[1].entitled != entitled:
        channel.read = wants, read_filter(wants, entitled)
    return channel.read[1]
