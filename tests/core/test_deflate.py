"""Compression: the negotiation, compared with another implementation's, and the compressed payloads."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import parse_extension

from app.core.protocol import frames
from app.core.protocol.deflate import deflate, negotiate

ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits="

names = st.sampled_from(
    [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
        "another",
    ]
)
values = st.sampled_from(["", "=7", "=8", "=9", "=11", "=12", "=15", "=16", "=010", "=x", '="10"'])
parameters = st.lists(st.builds(str.__add__, names, values), max_size=4)
offers = st.builds(lambda given: "; ".join(["permessage-deflate", *given]), parameters)


@given(st.lists(offers, min_size=1, max_size=3))
def test_negotiation_agrees_with_another_implementation(lines: list[str]) -> None:
    # zlib has no window of 8 bits, and websockets limits the client's window only if it was configured to.
    met = [bits for line in lines if (bits := _window_by_websockets(line)) is not None and bits > 8]

    agreement = negotiate([", ".join(lines)])

    assert (agreement.window_bits if agreement else None) == (min(met[0], 12) if met else None)


def _window_by_websockets(offer: str) -> int | None:
    """Return the server's window that websockets would agree on, None if it refuses the offer."""
    [(_, given)] = parse_extension(offer)
    try:
        _, extension = ServerPerMessageDeflateFactory().process_request_params(given, [])
    except NegotiationError:
        return None
    return extension.local_max_window_bits


@pytest.mark.parametrize(
    ("lines", "window_bits"),
    [
        (["permessage-deflate"], 12),
        (["permessage-deflate; client_max_window_bits"], 12),
        (["x-webkit-deflate-frame, permessage-deflate;server_max_window_bits=10"], 10),
        (["permessage-deflate; server_max_window_bits=8", "permessage-deflate"], 12),
        (["Permessage-Deflate ; Server_Max_Window_Bits = 9"], 9),
        (["permessage-deflate; server_max_window_bits=8"], None),
        (["not-permessage-deflate"], None),
        (["permessage-deflate; client_max_window_bits; client_max_window_bits"], None),
        (["permessage-deflate; server_no_context_takeover=1"], None),
        (["permessage-deflate;"], None),
        ([""], None),
        ([], None),
    ],
)
def test_negotiated_parameters(lines: list[str], window_bits: int | None) -> None:
    agreement = negotiate(lines)

    assert (agreement and agreement.response_header) == (window_bits and f"{ANSWER}{window_bits}")


@given(st.binary(max_size=9_000), st.integers(9, 12))
def test_payload_decompresses_with_the_negotiated_window(data: bytes, bits: int) -> None:
    packed = deflate(data, bits)

    assert zlib.decompressobj(-bits).decompress(packed + b"\x00\x00\xff\xff") == data


def test_messages_decompress_with_context_takeover() -> None:
    inflater = zlib.decompressobj(-12)
    texts = [b"rates stay where they are", b"rates stay where they are, again"]

    assert [inflater.decompress(deflate(text, 12) + b"\x00\x00\xff\xff") for text in texts] == texts


def test_each_frame_is_encoded_once() -> None:
    message = frames.EncodedMessage(b"a story " * 99)

    assert message.frame(12) is message.frame(12)
    assert (message.frame()[0], message.frame(12)[0]) == (0x81, 0xC1)
    assert len(message.frame(12)) < len(message.frame()) / 4
    assert message.frames.keys() == {0, 12}
