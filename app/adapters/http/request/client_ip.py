"""Find the address under which a client's connections are counted, for the limits of one address.

If the TCP peer is a trusted proxy, the client's address is the last one in the proxies' header that is not a trusted
proxy. The addresses before it cannot be trusted, because the client may have made them up. Exactly one header is
trusted (NEWS_PROXY_HEADER): a proxy that writes one header usually passes the other on as the client sent it. With the
PROXY protocol the connection itself names the client, and no header is trusted.

Proxies write addresses in many forms: with a port, in brackets, with a zone, or as IPv6 forms of an IPv4 address. All
forms of one address count as one client. An IPv6 address is replaced by its /64 network, which belongs to one
subscriber.

Most connections from this machine (loopback) come from a proxy that serves many users. So a limit applies to them only
if an operator set that limit.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from aiohttp import web

from app.config import Settings
from app.options import ProxyHeader

_IPV6_PREFIX = 64
# RFC 6052: an IPv4 address in the last 32 bits, written by a NAT64 gateway.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LAST_32_BITS = 0xFFFF_FFFF
_MAX_HEADER_LENGTH = 8_192
_MAX_SHOWN_LENGTH = 64
CALL_RATES = ("requests.reads_per_s", "requests.read_burst", "requests.publishes_per_s", "requests.publish_burst")
"""The limits of REST calls. If an operator set one of them, they apply to callers of this machine too."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClientAddress(NamedTuple):
    """A client's address as text, and the keys under which the client is counted: for the number of its open
    connections, for the rate at which it connects, for the rate of its REST calls, and for the answers that are on
    their way to it. A key is "" if the limit does not apply to the client, and "unknown" if no IP address is known, for
    example because a proxy forwarded another text.
    """

    address: str
    open_key: str
    rate_key: str
    call_key: str
    answer_key: str


def client_address_of(request: web.Request, settings: Settings) -> ClientAddress:
    """Return the keys under which the client of a request is counted."""
    address = request.remote or ""
    if settings.proxy_header is ProxyHeader.PROXY_PROTOCOL:
        address = getattr(request.protocol, "proxied_address", "") or address
    elif is_in(address, settings.trusted_proxies):
        lines = request.headers.getall(settings.proxy_header.value, [])
        address = _forwarded(lines, settings) or address
    return ClientAddress(
        _shown(address),
        key_of(address, counts_loopback=settings.max_connections_per_ip is not None),
        key_of(address, counts_loopback=settings.connect_rate_per_ip is not None),
        key_of(address, counts_loopback=any(name in settings.limits for name in CALL_RATES)),
        key_of(address, counts_loopback=True),
    )


def _forwarded(lines: Iterable[str], settings: Settings) -> str | None:
    """Return the last address in the proxies' header that is not a trusted proxy, or None if there is none."""
    joined = ",".join(lines)[-_MAX_HEADER_LENGTH:]
    hops = [hop.strip() for hop in joined.split(",")]
    if settings.proxy_header is ProxyHeader.FORWARDED:
        hops = [_for_parameter(hop) for hop in hops]
    return next((hop for hop in reversed(hops) if hop and not is_in(hop, settings.trusted_proxies)), None)


def _for_parameter(element: str) -> str:
    """Return the value of the parameter `for` of one element of a header Forwarded (RFC 7239 section 4). It is
    "unknown" if the element has none.
    """
    parameters = (part.partition("=") for part in element.split(";"))
    return next((value.strip() for name, _, value in parameters if name.strip().lower() == "for"), "unknown")


def parse_address(text: str) -> Address | None:
    """Parse an IP address in any form that proxies write. Return None for any other text."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & _LAST_32_BITS)
    return address


@lru_cache(1_024)
def _shown(text: str) -> str:
    address = parse_address(text)
    return str(address) if address is not None else text[:_MAX_SHOWN_LENGTH]


@lru_cache(1_024)
def is_in(text: str, networks: tuple[str, ...]) -> bool:
    """Return whether a text is an IP address in one of these networks."""
    address = parse_address(text)
    return address is not None and any(address in ipaddress.ip_network(network) for network in networks)


@lru_cache(1_024)
def key_of(text: str, *, counts_loopback: bool) -> str:
    """Return the key under which an address is counted: "" for one of this machine, unless these are counted too, and
    "unknown" for a text that is no address.
    """
    address = parse_address(text)
    if address is None:
        # For example, a proxy forwarded "unknown" instead of an address. All such callers count as one.
        return "unknown"
    if address.is_loopback and not counts_loopback:
        return ""
    if address.version == 6:
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
