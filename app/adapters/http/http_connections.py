"""Count the HTTP connections of each address, so that one address cannot hold all descriptors of the server.

A connection that becomes a WebSocket is no longer counted: WebSockets have limits of their own. Proxies that are
trusted, and callers of this machine, are not limited, because they serve many users; the limit of callers of this
machine can be set.
"""

from collections import Counter

from app.adapters.http.request.client_ip import is_in, key_of
from app.config import Settings
from app.core.limits import RequestLimits
from app.options import ProxyHeader
from app.telemetry.stats import Stats

_LIMIT = "requests.max_connections_per_ip"


class HttpConnections:
    """The number of open HTTP connections of each address."""

    def __init__(self, settings: Settings, limits: RequestLimits, stats: Stats) -> None:
        self._proxies = settings.trusted_proxies
        self._has_proxy_protocol = settings.proxy_header is ProxyHeader.PROXY_PROTOCOL
        self._counts_loopback = _LIMIT in settings.limits
        self._limit = limits.max_connections_per_ip
        self._stats = stats
        self._open: Counter[str] = Counter()

    def expects_proxy_header(self, peer: str) -> bool:
        """Return whether connections of a peer begin with a header of the PROXY protocol."""
        return self._has_proxy_protocol and is_in(peer, self._proxies)

    def admit(self, peer: str) -> str | None:
        """Count a new connection, and return the key with which it must be released, "" if it is not limited. Return
        None if its address has too many connections.
        """
        key = "" if is_in(peer, self._proxies) else key_of(peer, counts_loopback=self._counts_loopback)
        if not key:
            return ""
        if self._open[key] >= self._limit:
            self._stats.server.record_refused_connection()
            return None
        self._open[key] += 1
        return key

    def release(self, key: str) -> None:
        """Stop counting a connection; `key` is what `admit` returned."""
        if key:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
