"""Parse the header of the PROXY protocol, versions 1 and 2, with which a proxy names the client before its first byte.

The format is that of HAProxy's document proxy-protocol.txt.
"""

import ipaddress
from typing import NamedTuple

_V1, _V2 = b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"
_MAX_V1_BYTES = 107
_V2_HEAD_BYTES = 16
_LOCAL, _PROXY = 0x20, 0x21
_IPV4, _IPV6 = 0x1, 0x2
_ADDRESS_BYTES = {_IPV4: 4, _IPV6: 16}


class NamedClient(NamedTuple):
    """A complete header: the client's address, and the number of bytes of the header. The address is "" if the proxy
    speaks for itself, as in its health checks.
    """

    address: str
    size: int


def parse_proxy_header(data: bytes) -> NamedClient | None:
    """Return the header at the start of some bytes, or None if it is not complete yet. Raises ValueError if the bytes
    are not the start of a header.
    """
    if data.startswith(_V1):
        return _parse_v1(data)
    if data.startswith(_V2):
        return _parse_v2(data)
    if _V1.startswith(data) or _V2.startswith(data):
        return None
    raise ValueError("not the PROXY protocol")


def _parse_v1(data: bytes) -> NamedClient | None:
    line, end, _ = data[:_MAX_V1_BYTES].partition(b"\r\n")
    if not end:
        if len(data) >= _MAX_V1_BYTES:
            raise ValueError("a line of the PROXY protocol without an end")
        return None
    words = line.decode("ascii").split(" ")
    size = len(line) + len(end)
    if words[1:2] == ["UNKNOWN"]:
        return NamedClient("", size)
    protocol, source = words[1:3]
    if protocol not in ("TCP4", "TCP6"):
        raise ValueError(f"unknown protocol {protocol!r}")
    return NamedClient(str(ipaddress.ip_address(source)), size)


def _parse_v2(data: bytes) -> NamedClient | None:
    if len(data) < _V2_HEAD_BYTES:
        return None
    command, family, length = data[12], data[13] >> 4, int.from_bytes(data[14:16])
    size = _V2_HEAD_BYTES + length
    if command not in (_LOCAL, _PROXY):
        raise ValueError("unknown command")
    if len(data) < size:
        return None
    address_bytes = _ADDRESS_BYTES.get(family)
    if command == _LOCAL or address_bytes is None:
        return NamedClient("", size)
    if length < 2 * address_bytes + 4:
        raise ValueError("too short for its addresses")
    source = data[_V2_HEAD_BYTES : _V2_HEAD_BYTES + address_bytes]
    return NamedClient(str(ipaddress.ip_address(source)), size)
