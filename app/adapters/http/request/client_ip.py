"""Find the address under which a client's connections are counted, for the limits of one address.

If the TCP peer is a trusted proxy, the address is the last one in X-Forwarded-For that is not a trusted proxy. The
addresses before it cannot be trusted, because the client may have made them up. An IPv6 address is replaced by its /64
network, which belongs to one subscriber.

Most connections from this machine (loopback) come from a proxy that serves many users. So they are counted only if an
operator set a limit for one address.
"""

import ipaddress
from functools import lru_cache

from aiohttp import web

from app.config import Settings

_FORWARDED = "X-Forwarded-For"
_IPV6_PREFIX = 64


def client_ip_of(request: web.Request, settings: Settings) -> str:
    """Return the address under which a connection is counted. It is "" if the connection is not counted, and "unknown"
    if no IP address is known, for example because a proxy forwarded another text.
    """
    address = request.remote or ""
    if _is_in(address, settings.trusted_proxies):
        address = _forwarded(request.headers.getall(_FORWARDED, []), settings.trusted_proxies) or address
    is_limited = settings.max_connections_per_ip is not None or settings.connect_rate_per_ip is not None
    return _key(address, counts_loopback=is_limited)


def _forwarded(lines: list[str], proxies: tuple[str, ...]) -> str | None:
    hops = [hop.strip() for line in lines for hop in line.split(",")]
    return next((hop for hop in reversed(hops) if not _is_in(hop, proxies)), None)


@lru_cache(1_024)
def _is_in(address: str, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network) for network in networks)


@lru_cache(1_024)
def _key(address: str, *, counts_loopback: bool) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        # For example, a proxy forwarded "unknown" instead of an address. All such callers count as one.
        return "unknown"
    if parsed.is_loopback and not counts_loopback:
        return ""
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
