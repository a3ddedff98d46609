"""Which addresses a feed may be at. This file owns the check of each one that is connected to, at every hop.

Whoever owns a name says where it leads, and may say something else a second later; a server may redirect anywhere. So
the check is made where neither counts any more: at the address that a socket is about to connect to. A private one is
only for the feed's own host, where feeds.toml writes an address or `localhost`, or says `private = true`.
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
    """Open a session that reaches what this feed may be at; its own, as connections are kept and shared in one."""
    reach = _GuardedResolver(feed)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=reach, socket_factory=reach.new_socket))


def is_public(text: str) -> bool:
    """Say whether an address belongs to everybody; of one that stands for an IPv4 address, whether that one does."""
    address: IPv4Address | IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inner is None and (address.teredo is not None or address.is_site_local):
            return False
        address = inner or address
    return address.is_global and not address.is_multicast


def _behind_nat64(address: IPv6Address) -> IPv4Address | None:
    """Give the IPv4 address that RFC 6052 writes into an IPv6 one."""
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None


class _GuardedResolver(AbstractResolver):
    """Looks names up, and lets no socket be made for an address that a feed may not be at."""

    def __init__(self, feed: FeedConfig) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        host = URL(feed.url).raw_host or ""
        self._private_host = host if feed.private or host == "localhost" else None
        self._admitted = {host}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if host == self._private_host:
            self._admitted = {one["host"] for one in found}
        return found

    async def close(self) -> None:
        await self._resolver.close()

    def new_socket(self, info: AddrInfoType) -> socket.socket:
        """Make a socket for an address. Raises OSError where the feed may not be there."""
        family, kind, protocol, _, address = info
        host = str(address[0])
        if host not in self._admitted and not is_public(host):
            raise OSError(errno.EACCES, f"{host} is no public address, and feeds.toml does not name it")
        return socket.socket(family, kind, protocol)
