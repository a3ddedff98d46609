"""Reading a client's bytes, however they are cut into pieces."""

import asyncio
import zlib
from itertools import chain

import pytest
from aiohttp import WSCloseCode, WSMsgType
from aiohttp._websocket.models import WebSocketError
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.http.websocket.frame_reader import FrameReader, Message, MessageReader
from tests.support.sockets import masked

TEXT, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x0, 0x8, 0x9, 0xA
FIN, RSV1 = 0x80, 0x40


def frames(payloads: list[str], control: bool) -> list[bytes]:
    """Give one message in fragments, with a ping between them or not."""
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
def test_every_message_is_read_and_nothing_is_kept_between_two(sent: list[list[bytes]], cuts: list[int]) -> None:
    got, rests = asyncio.run(_read(b"".join(chain(*sent)), cuts))

    pings = sum(frame[0] == FIN | PING for message in sent for frame in message)
    assert [kind for kind, _ in got].count(WSMsgType.PING) == pings
    assert [kind for kind, _ in got].count(WSMsgType.TEXT) == len(sent)
    frames_in_all = sum(map(len, sent))
    assert [kind for kind, _ in got].count(WSMsgType.CONTINUATION) == frames_in_all - pings - len(sent)
    ends = {len(b"".join(chain(*sent[: number + 1]))) for number in range(len(sent))}
    assert all(is_at_rest is (at in ends) for at, is_at_rest in rests)


async def _read(data: bytes, cuts: list[int]) -> tuple[list[Message], list[tuple[int, bool]]]:
    """Feed the bytes in pieces, as a link does; give the messages, and after each piece whether nothing was kept."""
    source, position = FrameReader(16_384), 0
    reading: MessageReader | None = None
    got: list[Message] = []
    rests: list[tuple[int, bool]] = []
    while position < len(data):
        step = cuts[len(rests) % len(cuts)]
        reading = reading or source.begin()
        got += reading.feed(data[position : position + step])
        position = min(position + step, len(data))
        rests.append((position, reading.is_at_rest))
        assert reading.error is None
        assert not reading.is_unmasked
        reading = None if reading.is_at_rest else reading
    return got, rests


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_every_form_of_length_is_followed(size: int) -> None:
    frame = (
        masked(FIN | TEXT, b"x" * size) if size < 65_536 else b"\x81\xff" + size.to_bytes(8) + bytes(4) + b"x" * size
    )
    reading = FrameReader(100_000).begin()

    early = list(reading.feed(frame[:-1]))
    assert early == []
    assert not reading.is_at_rest
    [(kind, payload)] = list(reading.feed(frame[-1:]))

    assert (kind, payload) == (WSMsgType.TEXT, "x" * size)
    assert reading.is_at_rest


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_frame_that_is_not_masked_is_found_wherever_it_stands(before: int) -> None:
    reading = FrameReader(16_384).begin()

    got = list(reading.feed(masked(FIN | TEXT, b"{}") * before + b"\x81\x02{}" + masked(FIN | TEXT, b"behind")))

    assert reading.is_unmasked
    assert got == [(WSMsgType.TEXT, "{}")] * before


async def test_what_one_client_breaks_is_no_others_concern() -> None:
    source = FrameReader(16_384)
    broken, whole = source.begin(), source.begin()

    assert list(broken.feed(masked(FIN | TEXT, b"\xff\xff"))) == []
    assert isinstance(broken.error, WebSocketError)
    assert list(whole.feed(masked(FIN | TEXT, b"fine"))) == [(WSMsgType.TEXT, "fine")]
    assert whole.error is None


async def test_messages_before_the_broken_one_are_given() -> None:
    reading = FrameReader(16_384).begin()

    got = list(reading.feed(masked(FIN | TEXT, b"first") + masked(FIN | 0x3, b"?")))

    assert got == [(WSMsgType.TEXT, "first")]
    assert reading.error is not None


def packed(text: bytes) -> bytes:
    """Give a compressed message of one frame (RFC 7692 section 7.2.1)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
    return masked(FIN | RSV1 | TEXT, data.removesuffix(b"\x00\x00\xff\xff"))


async def test_a_compressed_message_is_inflated_where_that_was_agreed() -> None:
    source = FrameReader(16_384)
    agreed, plain = source.begin(is_deflated=True), source.begin()

    assert list(agreed.feed(packed(b"hello " * 9) + masked(FIN | TEXT, b"and as it is"))) == [
        (WSMsgType.TEXT, "hello " * 9),
        (WSMsgType.TEXT, "and as it is"),
    ]
    assert list(plain.feed(packed(b"hello"))) == []
    assert isinstance(plain.error, WebSocketError)
    assert plain.error.code == WSCloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("size", [16_385, 10_000_000])
async def test_a_message_that_is_too_large_once_inflated_is_refused(size: int) -> None:
    source = FrameReader(16_384)
    bomb, fits = source.begin(is_deflated=True), source.begin(is_deflated=True)

    assert [len(str(text)) for _, text in fits.feed(packed(b"x" * 16_384))] == [16_384]
    assert list(bomb.feed(packed(b"x" * size))) == []
    assert isinstance(bomb.error, WebSocketError)
    assert bomb.error.code == WSCloseCode.MESSAGE_TOO_BIG


async def test_nothing_is_inflated_once_it_is_over_but_the_close_is_seen() -> None:
    reading = FrameReader(16_384).begin(is_deflated=True)
    got = []
    for kind, payload in reading.feed(packed(b"{}") * 3 + masked(FIN | CLOSE, b"\x03\xe8")):
        got.append((kind, payload))
        reading.is_over = True

    assert got == [(WSMsgType.TEXT, "{}"), (WSMsgType.CLOSE, 0)]
    assert reading.is_at_rest
