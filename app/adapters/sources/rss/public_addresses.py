"""Refuse connections of feeds to private addresses, also after redirects (SSRF protection).

A host name can resolve to a different address at each look-up, and a server can redirect to any URL. So the address is
checked last, when a socket for it is about to be created. A private address is allowed only for the host of the feed's
own URL, in two cases: the URL contains the address itself or `localhost`, or the feed has `private = true` in
feeds.toml.
"""

import errno
import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from yarl import URL

from app.adapters.sources.rss.config import FeedConfig

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def session_for(feed: FeedConfig) -> aiohttp.ClientSession:
    """Return an HTTP session that connects only to addresses that this feed may use. Each feed needs its own session,
    because a session reuses open connections without checking their addresses again.
    """
    resolver = _GuardedResolver(feed)
    connector = aiohttp.TCPConnector(resolver=resolver, socket_factory=resolver.new_socket)
    # Servers lie about compression, so `fetching` looks at the bytes.
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)


def is_public(text: str) -> bool:
    """Return whether an IP address is public. An IPv6 address that embeds an IPv4 address (mapped, 6to4, NAT64) is
    public if the IPv4 address is.

    Multicast, Teredo and site-local addresses are not public. Raises ValueError if the text is not an IP address.
    """
    address: IPv4Address | IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inner is None and (address.teredo is not None or address.is_site_local):
            return False
        address = inner or address
    return address.is_global and not address.is_multicast


def _behind_nat64(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that is embedded in a NAT64 address (prefix 64:ff9b::/96, RFC 6052), or None for any
    other address.
    """
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None


class _GuardedResolver(AbstractResolver):
    """A resolver and socket factory for one feed. It resolves every name, but it creates no socket for an address that
    the feed may not use.
    """

    def __init__(self, feed: FeedConfig) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        host = URL(feed.url).raw_host or ""
        self._private_host = host if feed.private or host == "localhost" else None
        self._allowed = {host}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if host == self._private_host:
            self._allowed = {one["host"] for one in found}
        return found

    async def close(self) -> None:
        await self._resolver.close()

    def new_socket(self, info: AddrInfoType) -> socket.socket:
        """Create a socket for an address. Raises OSError(EACCES) if the feed may not use the address."""
        family, kind, protocol, _, address = info
        host = str(address[0])
        if host not in self._allowed and not is_public(host):
            raise OSError(errno.EACCES, f"{host} is not a public address, and feeds.toml does not allow it")
        return socket.socket(family, kind, protocol)
