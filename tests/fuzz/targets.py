"""What the fuzzer calls. Each target takes any bytes and raises only what its callers expect."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from app.adapters.http.request.client_ip import parse_address
from app.adapters.http.websocket.frame_reader import MessageReader
from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.adapters.sources.rss.parsing import ParseFailed, parse
from app.adapters.system.clock import SystemClock
from app.adapters.tokens.keys import FixedKey, secret_key
from app.adapters.tokens.verifier import ExpectedClaims, JwtVerifier
from app.core.delivery.positions import parse_position
from app.core.errors import ClientError
from app.core.filters.analysis import analyze_item, compile_filter
from app.core.filters.filter import Filter, normalize_filter, parse_filter
from app.core.filters.filter_index import FilterIndex
from app.core.filters.matching import first_rejection
from app.core.news.item import parse_raw
from app.core.protocol import client_messages
from app.core.protocol.deflate import negotiate
from app.core.validation.strict_json import decode_object
from app.flows.connections.revocations import Revocations
from app.telemetry.stats import Stats
from tests.support.items import item

CORPUS = Path(__file__).parent / "corpus"
SLOWEST = "slowest"
"""The name of the file in which a run of the fuzzer leaves the slowest input."""
SECRET = "a secret of more than thirty-two bytes"
_MESSAGE_BYTES = 16 * 1024
# A client that sends this number of frames at once is disconnected: the burst, and as many again.
_MOST_FRAMES = 60


class Target(NamedTuple):
    """A function that reads bytes, how many it may get, and the processor time that it may take (None: any)."""

    call: Callable[[bytes], object]
    max_bytes: int
    max_cpu_s: float | None = 0.02


def frames(data: bytes) -> None:
    """Read frames that arrive in two parts, uncompressed and compressed. As on a connection, the rate limit ends the
    reading.
    """
    for is_deflated in (False, True):
        reader = MessageReader(_MESSAGE_BYTES, is_deflated=is_deflated)
        half, received = len(data) // 2, 0
        for part in (data[:half], data[half:]):
            for _ in reader.feed(part):
                received += 1
                reader.is_over = received >= _MOST_FRAMES


def messages(data: bytes) -> None:
    """Decode a client's message."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    client_messages.acknowledged_seq(text)
    with contextlib.suppress(client_messages.InvalidMessage):
        client_messages.decode(text)


def filters(data: bytes) -> None:
    """Parse a filter, compile it, index it, and match an item with it."""
    try:
        wanted = parse_filter(decode_object(data)).filter
    except ClientError:
        return
    index = FilterIndex()
    index.put(0, wanted)
    index.match(item())
    first_rejection(analyze_item(item()), compile_filter(wanted))


def _wide_index() -> FilterIndex:
    """Return an index with prefixes, phrases, and terms of other scripts."""
    index = FilterIndex()
    words = ["a", "ab", "abc", "fed", "rate", "cut", "é", "日", "日銀", "利下げ", "#x", "$btc", "1", "12"]
    phrases = [f"{first} {second}*" for first in words for second in words]
    for slot, keywords in enumerate((words, phrases[:200], [f"{word}*" for word in words])):
        index.put(slot, normalize_filter(Filter(impact_threshold=0, keywords=tuple(keywords))))
    return index


_INDEX = _wide_index()


def texts(data: bytes) -> None:
    """Match an item with any text."""
    text = data.decode(errors="replace")
    news = item(title=text[:200], content=text)
    _INDEX.match(news)
    analyze_item(news)


def items(data: bytes) -> None:
    """Parse a publisher's item."""
    with contextlib.suppress(ClientError):
        parse_raw(decode_object(data), 1_000_000.0)


_VERIFIER = JwtVerifier(
    FixedKey(secret_key(SECRET)),
    ExpectedClaims(None, None),
    Revocations(MemoryRevocationStore(), SystemClock()),
    SystemClock(),
    Stats(),
)


def tokens(data: bytes) -> None:
    """Verify a token."""
    verifying = _VERIFIER.verify(data.decode("latin-1"))
    try:
        # With a fixed key nothing is awaited, so that no event loop is needed.
        verifying.send(None)
    except (ClientError, StopIteration):
        return
    finally:
        verifying.close()


def headers(data: bytes) -> None:
    """Read what proxies and browsers write into headers."""
    text = data.decode("latin-1")
    parse_address(text)
    negotiate(text.split("\n"))
    with contextlib.suppress(ValueError):
        parse_position(text)


def feeds(data: bytes) -> None:
    """Parse a feed."""
    with contextlib.suppress(ParseFailed):
        parse(data, "https://feeds.example/")


TARGETS: dict[str, Target] = {
    "frames": Target(frames, 64 * 1024),
    "messages": Target(messages, _MESSAGE_BYTES),
    "filters": Target(filters, _MESSAGE_BYTES),
    "texts": Target(texts, 4 * 1024),
    "items": Target(items, _MESSAGE_BYTES),
    "tokens": Target(tokens, 8 * 1024),
    "headers": Target(headers, 8 * 1024),
    "feeds": Target(feeds, 64 * 1024, None),
}


def cpu_s(target: Target, data: bytes, times: int = 1) -> float:
    """Return the least processor time of some calls with the same bytes."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        target.call(data)
        taken.append(time.process_time() - began)
    return min(taken)
