"""The server's counters, in groups. They change only through the groups' `record_` methods.

Only the event loop's thread calls these methods, so they need no lock. `catalogue` gives the counters their metric
names.
"""

from app.telemetry.broadcast_stats import BroadcastStats
from app.telemetry.connection_stats import ConnectionStats
from app.telemetry.intake_stats import IntakeStats
from app.telemetry.recovery_stats import RecoveryStats
from app.telemetry.server_stats import ServerStats


class Stats:
    """The counters of one server."""

    def __init__(self) -> None:
        self.connections = ConnectionStats()
        self.intake = IntakeStats()
        self.broadcast = BroadcastStats()
        self.recovery = RecoveryStats()
        self.server = ServerStats()
