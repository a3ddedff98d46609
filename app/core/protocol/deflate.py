"""Negotiate permessage-deflate (RFC 7692) and compress payloads.

Every message is compressed by itself, without a reference to the one before. So one compressed payload fits every
client with the same window, and a connection keeps no zlib state.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

UNCOMPRESSED = 0
"""The window bits of a connection without compression."""

# Messages have a kilobyte or two: a larger window finds no more repetitions, and costs both sides memory.
_MOST_WINDOW_BITS = 12
# zlib cannot make a raw stream with a window of 8 bits.
_LEAST_WINDOW_BITS = 9
_LEVEL, _MEMORY_LEVEL = 6, 5
# The end of a flush, which RFC 7692 section 7.2.1 removes.
_TAIL = b"\x00\x00\xff\xff"

_EXTENSION = "permessage-deflate"
_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_SERVER_WINDOW, _CLIENT_WINDOW = "server_max_window_bits", "client_max_window_bits"
_BITS = re.compile(r"[89]|1[0-5]")


class NegotiatedDeflate(NamedTuple):
    """The result of the negotiation: the window to compress with, and the value of Sec-WebSocket-Extensions."""

    window_bits: int
    response_header: str


def negotiate(offers: Iterable[str]) -> NegotiatedDeflate | None:
    """Choose the first offer that can be met; `offers` are the values of the request's Sec-WebSocket-Extensions
    headers.
    """
    for offer in (offer for line in offers for offer in line.split(",")):
        window_bits = _usable_window(offer)
        if window_bits is not None:
            # Without context takeover on both sides; a server may require it of a client unasked (section 7.1.1.2).
            return NegotiatedDeflate(window_bits, f"{_EXTENSION}; {'; '.join(_FLAGS)}; {_SERVER_WINDOW}={window_bits}")
    return None


def _usable_window(offer: str) -> int | None:
    """Return the window to compress with; None if the offer is for another extension, invalid, or cannot be met."""
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
    """Return whether an offer has only the parameters of section 7.1. Only the client's window may come without a
    number.
    """
    return all(
        value is None
        if name in _FLAGS
        else name in (_SERVER_WINDOW, _CLIENT_WINDOW)
        and (name == _CLIENT_WINDOW if value is None else _BITS.fullmatch(value) is not None)
        for name, value in parameters.items()
    )


def deflate(payload: bytes, window_bits: int) -> bytes:
    """Compress a payload by itself (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits, _MEMORY_LEVEL)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
