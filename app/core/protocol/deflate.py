"""Compressed payloads (permessage-deflate, RFC 7692). This file owns what is agreed with a client, and the compressing.

Every message is compressed by itself, without a reference to the one before. So one compressed payload is right for
every client with the same window, and a connection keeps no zlib state.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

UNCOMPRESSED = 0
"""The window bits of a connection whose payloads go out as they are."""

# Messages have a kilobyte or two: a larger window finds nothing more in them, and costs both sides memory.
_MOST_WINDOW_BITS = 12
# zlib makes no raw stream with a window of 8 bits.
_LEAST_WINDOW_BITS = 9
_LEVEL, _MEMORY_LEVEL = 6, 5
# What a flush ends with, and RFC 7692 section 7.2.1 leaves away.
_TAIL = b"\x00\x00\xff\xff"

_EXTENSION = "permessage-deflate"
_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_SERVER_WINDOW, _CLIENT_WINDOW = "server_max_window_bits", "client_max_window_bits"
_BITS = re.compile(r"[89]|1[0-5]")


class NegotiatedDeflate(NamedTuple):
    """What was agreed: the window that we compress with, and the words for Sec-WebSocket-Extensions."""

    window_bits: int
    response_header: str


def negotiate(offers: Iterable[str]) -> NegotiatedDeflate | None:
    """Choose the first offer that can be met; `offers` are the lines of the request's Sec-WebSocket-Extensions."""
    for offer in (offer for line in offers for offer in line.split(",")):
        window_bits = _usable_window(offer)
        if window_bits is not None:
            # Neither side may refer to earlier messages: a server may ask that of a client unasked (section 7.1.1.2).
            return NegotiatedDeflate(window_bits, f"{_EXTENSION}; {'; '.join(_FLAGS)}; {_SERVER_WINDOW}={window_bits}")
    return None


def _usable_window(offer: str) -> int | None:
    """Give the window to compress with, None where the offer is for something else, not valid or not to be had."""
    name, *parts = (part.strip() for part in offer.split(";"))
    if name.lower() != _EXTENSION:
        return None
    parameters = dict(map(_parameter, parts))
    if len(parameters) < len(parts) or not _are_valid(parameters):
        return None
    window_bits = min(int(parameters.get(_SERVER_WINDOW) or 15), _MOST_WINDOW_BITS)
    return window_bits if window_bits >= _LEAST_WINDOW_BITS else None


def _parameter(part: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    return name.strip().lower(), value.strip().strip('"') if equals else None


def _are_valid(parameters: Mapping[str, str | None]) -> bool:
    """Say whether an offer has only what section 7.1 knows; the client's window alone may stand without a number."""
    return all(
        value is None
        if name in _FLAGS
        else name in (_SERVER_WINDOW, _CLIENT_WINDOW)
        and (name == _CLIENT_WINDOW if value is None else _BITS.fullmatch(value) is not None)
        for name, value in parameters.items()
    )


def deflate(payload: bytes, window_bits: int) -> bytes:
    """Compress a payload by itself (RFC 7692 section 7.2.1)."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits, _MEMORY_LEVEL)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
