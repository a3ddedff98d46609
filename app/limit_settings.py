"""The limits of a server, which follow from its settings and from the machine."""

from app.adapters.system.file_descriptors import usable_descriptors
from app.config import Settings
from app.core.limits import Limits
from app.options import ConnectionPolicy

# File descriptors reserved for everything except WebSockets: listeners, database, feeds, scrapes, REST clients.
_RESERVED_DESCRIPTORS = 256


def build_limits(settings: Settings) -> Limits:
    """Return the limits that result from the settings and from the process's file descriptors."""
    rate, per_ip = settings.connect_rate_per_ip, settings.max_connections_per_ip
    values: dict[str, float] = {
        "connections.max_total": min(settings.max_connections, usable_descriptors() - _RESERVED_DESCRIPTORS),
        "connections.max_per_user": settings.max_connections_per_user,
        "connections.one_per_user": settings.connection_policy is ConnectionPolicy.ONE,
        "heartbeats.interval_s": settings.heartbeat_s,
    }
    if rate is not None:
        values |= {"connections.connects_per_s_per_ip": rate, "connections.connect_burst_per_ip": max(3 * rate, 1.0)}
    if per_ip is not None:
        values["connections.max_per_ip"] = per_ip
    return Limits().with_values(values | settings.limits)
