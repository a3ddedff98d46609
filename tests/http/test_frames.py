"""Reading a client's bytes, however they are cut into pieces."""

import asyncio
from itertools import chain

import pytest
from aiohttp import WSMsgType
from aiohttp._websocket.models import WebSocketError
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.http.frames import Frames, Message, Reading
from tests.support.sockets import masked

TEXT, CONTINUATION, PING, PONG = 0x1, 0x0, 0x9, 0xA
FIN = 0x80


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
    ends = {len(b"".join(chain(*sent[: number + 1]))) for number in range(len(sent))}
    assert all(is_at_rest is (at in ends) for at, is_at_rest in rests)


async def _read(data: bytes, cuts: list[int]) -> tuple[list[Message], list[tuple[int, bool]]]:
    """Feed the bytes in pieces, as a link does; give the messages, and after each piece whether nothing was kept."""
    source, position = Frames(16_384), 0
    reading: Reading | None = None
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
    reading = Frames(100_000).begin()

    early = reading.feed(frame[:-1])
    assert early == []
    assert not reading.is_at_rest
    [(kind, payload)] = reading.feed(frame[-1:])

    assert (kind, payload) == (WSMsgType.TEXT, "x" * size)
    assert reading.is_at_rest


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_frame_that_is_not_masked_is_found_wherever_it_stands(before: int) -> None:
    reading = Frames(16_384).begin()

    got = reading.feed(masked(FIN | TEXT, b"{}") * before + b"\x81\x02{}")

    assert reading.is_unmasked
    assert got == []


async def test_what_one_client_breaks_is_no_others_concern() -> None:
    source = Frames(16_384)
    broken, whole = source.begin(), source.begin()

    assert broken.feed(masked(FIN | TEXT, b"\xff\xff")) == []
    assert isinstance(broken.error, WebSocketError)
    assert whole.feed(masked(FIN | TEXT, b"fine")) == [(WSMsgType.TEXT, "fine")]
    assert whole.error is None


async def test_messages_before_the_broken_one_are_given() -> None:
    reading = Frames(16_384).begin()

    got = reading.feed(masked(FIN | TEXT, b"first") + masked(FIN | 0x3, b"?"))

    assert got == [(WSMsgType.TEXT, "first")]
    assert reading.error is not None
