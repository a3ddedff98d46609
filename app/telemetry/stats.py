"""The server's counters, in one class for each subject. They change only through the `record_` methods of these
classes.

Only the event loop's thread calls these methods, so they need no lock. `catalogue` defines the metric names of the
counters.
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
