"""Negotiate permessage-deflate (RFC 7692) and compress payloads.

Each message is compressed independently, without references to earlier messages. So a connection keeps no zlib state,
and all clients that negotiated the same compression window can be sent the same compressed payload.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

UNCOMPRESSED = 0
"""The value of `window_bits` for a connection without compression."""

# Most messages have one or two kilobytes. In those, a compression window of more than 12 bits (4 KiB) finds no more
# repetitions, and it costs memory on both sides.
_MOST_WINDOW_BITS = 12
# zlib cannot write raw deflate data with 8 window bits.
_LEAST_WINDOW_BITS = 9
_LEVEL, _MEMORY_LEVEL = 6, 5
# The bytes at the end of a flushed payload, which the sender removes (RFC 7692 section 7.2.1).
_TAIL = b"\x00\x00\xff\xff"

_EXTENSION = "permessage-deflate"
_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_SERVER_WINDOW, _CLIENT_WINDOW = "server_max_window_bits", "client_max_window_bits"
_BITS = re.compile(r"[89]|1[0-5]")


class NegotiatedDeflate(NamedTuple):
    """An accepted offer: the window bits to compress with, and the value of the response header
    Sec-WebSocket-Extensions.
    """

    window_bits: int
    response_header: str


def negotiate(offers: Iterable[str]) -> NegotiatedDeflate | None:
    """Return the result for the first offer that the server can accept. Return None if it can accept no offer. `offers`
    are the values of the request's Sec-WebSocket-Extensions headers; each may list several offers.
    """
    for offer in (offer for line in offers for offer in line.split(",")):
        window_bits = _usable_window(offer)
        if window_bits is not None:
            # Neither side keeps compression state between messages (no context takeover). A server may require this of
            # a client that did not offer it (RFC 7692 section 7.1.1.2).
            return NegotiatedDeflate(window_bits, f"{_EXTENSION}; {'; '.join(_FLAGS)}; {_SERVER_WINDOW}={window_bits}")
    return None


def _usable_window(offer: str) -> int | None:
    """Return the window bits to compress with if the server can accept the offer. Return None if the offer is for
    another extension, is invalid, or limits the window to 8 bits.
    """
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
    """Return whether an offer has only valid parameters (RFC 7692 section 7.1): flags without a value,
    server_max_window_bits with 8 to 15, and client_max_window_bits with 8 to 15 or without a value.
    """
    return all(
        value is None
        if name in _FLAGS
        else name in (_SERVER_WINDOW, _CLIENT_WINDOW)
        and (name == _CLIENT_WINDOW if value is None else _BITS.fullmatch(value) is not None)
        for name, value in parameters.items()
    )


def deflate(payload: bytes, window_bits: int) -> bytes:
    """Compress a payload without references to earlier messages (RFC 7692 section 7.2.1). `window_bits` must not be
    UNCOMPRESSED.
    """
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits, _MEMORY_LEVEL)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
