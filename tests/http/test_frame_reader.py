"""Reading a client's bytes, however they are cut into pieces."""

import zlib
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from app.adapters.http.websocket.frame_reader import Event, MessageReader
from app.core.protocol.close_codes import DisconnectReason
from tests.support.sockets import masked

TEXT, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x0, 0x8, 0x9, 0xA
FIN, RSV1 = 0x80, 0x40
MAX_BYTES = 16_384


def frames(payloads: list[str], control: bool) -> list[bytes]:
    """Return one message in fragments, with or without a ping between them."""
    sent = []
    for number, payload in enumerate(payloads):
        opcode = TEXT if number == 0 else CONTINUATION
        fin = FIN if number == len(payloads) - 1 else 0
        sent.append(masked(fin | opcode, payload.encode()))
        if control and not fin:
            sent.append(masked(FIN | PING, b"still there?"))
    return sent


texts = st.text(st.characters(codec="ascii"), max_size=200)
messages = st.lists(st.builds(frames, st.lists(texts, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=4)


@given(messages, st.lists(st.integers(1, 40), min_size=1))
def test_no_state_is_kept_between_messages(sent: list[list[bytes]], cuts: list[int]) -> None:
    events, rests = _read(b"".join(chain(*sent)), cuts)

    pings = sum(frame[0] == FIN | PING for message in sent for frame in message)
    assert [opcode for opcode, _ in events].count(Opcode.PING) == pings
    assert [opcode for opcode, _ in events].count(Opcode.TEXT) == len(sent)
    frame_count = sum(map(len, sent))
    assert [opcode for opcode, _ in events].count(Opcode.CONT) == frame_count - pings - len(sent)
    ends = {len(b"".join(chain(*sent[: number + 1]))) for number in range(len(sent))}
    assert all(is_at_rest is (at in ends) for at, is_at_rest in rests)


def _read(data: bytes, cuts: list[int]) -> tuple[list[Event], list[tuple[int, bool]]]:
    """Feed bytes in pieces, as a link does; return the events, and after each piece whether nothing was kept."""
    position = 0
    reader: MessageReader | None = None
    events: list[Event] = []
    rests: list[tuple[int, bool]] = []
    while position < len(data):
        step = cuts[len(rests) % len(cuts)]
        reader = reader or MessageReader(MAX_BYTES)
        events += reader.feed(data[position : position + step])
        position = min(position + step, len(data))
        rests.append((position, reader.is_at_rest))
        assert reader.violation is None
        reader = None if reader.is_at_rest else reader
    return events, rests


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_every_length_encoding_is_read(size: int) -> None:
    frame = (
        masked(FIN | TEXT, b"x" * size) if size < 65_536 else b"\x81\xff" + size.to_bytes(8) + bytes(4) + b"x" * size
    )
    reader = MessageReader(100_000)

    early = list(reader.feed(frame[:-1]))
    assert early == []
    assert not reader.is_at_rest
    events = list(reader.feed(frame[-1:]))

    assert events == [(Opcode.TEXT, "x" * size)]
    assert reader.is_at_rest


@pytest.mark.parametrize("before", [0, 1, 3])
def test_unmasked_frame_is_a_violation_anywhere(before: int) -> None:
    reader = MessageReader(MAX_BYTES)

    events = list(reader.feed(masked(FIN | TEXT, b"{}") * before + b"\x81\x02{}" + masked(FIN | TEXT, b"behind")))

    assert reader.violation is DisconnectReason.PROTOCOL_ERROR
    assert events == [(Opcode.TEXT, "{}")] * before


VIOLATIONS = [
    (masked(FIN | 0x3, b"?"), DisconnectReason.PROTOCOL_ERROR),
    (masked(FIN | RSV1 | TEXT, b"?"), DisconnectReason.PROTOCOL_ERROR),
    (masked(PING, b""), DisconnectReason.PROTOCOL_ERROR),
    (masked(FIN | PING, b"x" * 126), DisconnectReason.PROTOCOL_ERROR),
    (masked(FIN | CONTINUATION, b"x"), DisconnectReason.PROTOCOL_ERROR),
    (masked(TEXT, b"x") + masked(FIN | TEXT, b"y"), DisconnectReason.PROTOCOL_ERROR),
    (masked(FIN | CLOSE, b"\x03"), DisconnectReason.PROTOCOL_ERROR),
    (masked(FIN | CLOSE, b"\x03\xed"), DisconnectReason.PROTOCOL_ERROR),
    (masked(FIN | CLOSE, b"\x03\xe8\xff"), DisconnectReason.INVALID_UTF8),
    (masked(FIN | TEXT, b"\xff\xff"), DisconnectReason.INVALID_UTF8),
    (masked(FIN | TEXT, b"x" * (MAX_BYTES + 1)), DisconnectReason.MESSAGE_TOO_BIG),
    (masked(TEXT, b"x" * MAX_BYTES) + masked(FIN | CONTINUATION, b"y"), DisconnectReason.MESSAGE_TOO_BIG),
]


@pytest.mark.parametrize(("data", "violation"), VIOLATIONS)
def test_violation_follows_the_messages_before_it(data: bytes, violation: DisconnectReason) -> None:
    reader = MessageReader(MAX_BYTES)

    events = [event for event in reader.feed(masked(FIN | TEXT, b"first") + data) if event[0] is not Opcode.CONT]

    assert events == [(Opcode.TEXT, "first")]
    assert reader.violation is violation
    assert not reader.is_at_rest


def test_too_long_frame_is_refused_by_its_head() -> None:
    reader = MessageReader(MAX_BYTES)

    assert list(reader.feed(b"\x81\xff" + (1 << 40).to_bytes(8))) == []

    assert reader.violation is DisconnectReason.MESSAGE_TOO_BIG


def test_only_close_is_reported_after_a_violation() -> None:
    reader = MessageReader(MAX_BYTES)
    list(reader.feed(masked(FIN | 0x3, b"?")))

    assert list(reader.feed(masked(FIN | TEXT, b"{}"))) == []
    assert list(reader.feed(masked(FIN | CLOSE, b"\x03\xea"))) == [(Opcode.CLOSE, 0)]


def test_close_without_a_code_is_code_zero() -> None:
    assert list(MessageReader(MAX_BYTES).feed(masked(FIN | CLOSE, b""))) == [(Opcode.CLOSE, 0)]


def packed(text: bytes) -> bytes:
    """Return a compressed message of one frame (RFC 7692 section 7.2.1)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
    return masked(FIN | RSV1 | TEXT, data.removesuffix(b"\x00\x00\xff\xff"))


def test_compressed_message_needs_negotiation() -> None:
    negotiated, plain = MessageReader(MAX_BYTES, is_deflated=True), MessageReader(MAX_BYTES)

    assert list(negotiated.feed(packed(b"hello " * 9) + masked(FIN | TEXT, b"and as it is"))) == [
        (Opcode.TEXT, "hello " * 9),
        (Opcode.TEXT, "and as it is"),
    ]
    assert list(plain.feed(packed(b"hello"))) == []
    assert plain.violation is DisconnectReason.PROTOCOL_ERROR


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 10_000_000])
def test_message_too_large_once_inflated_is_refused(size: int) -> None:
    bomb, fits = MessageReader(MAX_BYTES, is_deflated=True), MessageReader(MAX_BYTES, is_deflated=True)

    assert [len(str(text)) for _, text in fits.feed(packed(b"x" * MAX_BYTES))] == [MAX_BYTES]
    assert list(bomb.feed(packed(b"x" * size))) == []
    assert bomb.violation is DisconnectReason.MESSAGE_TOO_BIG


def test_nothing_is_inflated_once_it_is_over() -> None:
    reader = MessageReader(MAX_BYTES, is_deflated=True)
    events = []
    for event in reader.feed(packed(b"{}") * 3 + masked(FIN | CLOSE, b"\x03\xe8")):
        events.append(event)
        reader.is_over = True

    assert events == [(Opcode.TEXT, "{}"), (Opcode.CLOSE, 1000)]


def test_few_frames_are_read_after_the_end() -> None:
    reader = MessageReader(MAX_BYTES)
    reader.is_over = True

    events = list(reader.feed(masked(FIN | PING, b"") * 40_000 + masked(FIN | CLOSE, b"")))

    assert events == []
    assert reader.is_flooded


def test_verdict_within_a_chunk_ends_the_walk() -> None:
    reader, seen = MessageReader(MAX_BYTES), 0

    for _ in reader.feed(masked(FIN | PING, b"") * 40_000):
        seen += 1
        reader.is_over = seen >= 5

    assert seen == 5
    assert reader.is_flooded


def test_close_frame_is_found_behind_late_frames() -> None:
    reader = MessageReader(MAX_BYTES)
    reader.is_over = True

    events = list(reader.feed(masked(FIN | PING, b"") * 20 + masked(FIN | CLOSE, b"")))

    assert events == [(Opcode.CLOSE, 0)]
    assert not reader.is_flooded


@pytest.mark.parametrize("begin", [b"", masked(FIN | 0x3, b"?")])
def test_bytes_after_the_end_are_bounded(begin: bytes) -> None:
    reader = MessageReader(MAX_BYTES)
    reader.is_over = True
    list(reader.feed(begin))

    chunks = 0
    while not reader.is_flooded:
        assert list(reader.feed(masked(FIN | TEXT, b"x" * 16_000))) == []
        chunks += 1

    assert chunks == 17
