"""The client's end of a connection: its address, and what it says that it is."""

from functools import lru_cache

import msgspec


class Peer(msgspec.Struct, frozen=True, gc=False):
    """The client's end of a connection. `key` is the address against whose limit the connection is counted, "" if it is
    counted against none. `address` and `agent`, the header User-Agent, are for operators.
    """

    key: str = ""
    address: str = ""
    agent: str = ""


NO_PEER = Peer()


@lru_cache(1_024)
def peer(key: str, address: str, agent: str) -> Peer:
    """Return a Peer. Connections of the same client, or through the same proxy, share one object."""
    return Peer(key, address, agent)
