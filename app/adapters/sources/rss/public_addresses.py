"""Which addresses a feed may have: the check of every address that a socket connects to, also after redirects.

The owner of a name decides where it leads, and may decide otherwise a second later; a server may redirect anywhere. So
the check is made where neither matters any more: at the address that a socket is about to connect to. A private address
is allowed for the feed's own host only, if feeds.toml contains an address or `localhost`, or `private = true`.
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
    """Open a session that reaches only what this feed may have. Each feed has its own, as
    sessions share connections.
    """
    resolver = _GuardedResolver(feed)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver, socket_factory=resolver.new_socket))


def is_public(text: str) -> bool:
    """Return whether an address is public; an address that stands for an IPv4 address is judged by that one."""
    address: IPv4Address | IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inner is None and (address.teredo is not None or address.is_site_local):
            return False
        address = inner or address
    return address.is_global and not address.is_multicast


def _behind_nat64(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that RFC 6052 embeds in an IPv6 one."""
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None


class _GuardedResolver(AbstractResolver):
    """Resolves names, and creates no socket for an address that a feed may not have."""

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
        """Create a socket for an address. Raises OSError if the feed may not have it."""
        family, kind, protocol, _, address = info
        host = str(address[0])
        if host not in self._allowed and not is_public(host):
            raise OSError(errno.EACCES, f"{host} is not a public address, and feeds.toml does not allow it")
        return socket.socket(family, kind, protocol)
