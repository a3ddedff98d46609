"""The process that parses documents for the server: it reads requests from standard input, and writes the answers to
standard output. It ends when its input does.

A hostile document can take any time and memory, and crash the libraries that parse it. In a process of its own it
affects only its feed: the memory is limited, and the server ends the process when it takes too long.
"""

import resource
import signal
import sys
from typing import BinaryIO, NamedTuple

import msgspec

from app.adapters.sources.rss.parsing import ParseFailed, parse
from app.core.news.feed_entry import FeedDocument

READY = b"\n"
# Python and its libraries take a fifth of it. A document of 25 MB, in all its forms, takes up to the rest.
_MEMORY_BYTES = 1024 * 1024 * 1024
# The server ends a process that takes too long. If the server is gone, the process ends itself.
_LONGEST_S = 60
_LENGTH_BYTES = 4


class ParseRequest(NamedTuple):
    """A document to parse: the arguments of `parse`."""

    body: bytes
    url: str
    http_charset: str
    max_entries: int


class ParseAnswer(NamedTuple):
    """The parsed document, or None and why it cannot be parsed."""

    document: FeedDocument | None
    failure: str = ""


encode = msgspec.msgpack.Encoder().encode
decode_answer = msgspec.msgpack.Decoder(ParseAnswer).decode
_decode_request = msgspec.msgpack.Decoder(ParseRequest).decode


def framed(payload: bytes) -> bytes:
    """Return a payload with its length in front."""
    return len(payload).to_bytes(_LENGTH_BYTES) + payload


def main() -> None:
    """Answer requests until the input ends."""
    # Ctrl-C in a terminal reaches the whole group of processes; the server decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(READY)
    sink.flush()
    while (payload := _read(source)) is not None:
        signal.alarm(_LONGEST_S)
        sink.write(framed(encode(_answer(_decode_request(payload)))))
        sink.flush()
        signal.alarm(0)


def _read(source: BinaryIO) -> bytes | None:
    length = source.read(_LENGTH_BYTES)
    return source.read(int.from_bytes(length)) if len(length) == _LENGTH_BYTES else None


def _answer(request: ParseRequest) -> ParseAnswer:
    try:
        return ParseAnswer(parse(*request))
    except ParseFailed as error:
        return ParseAnswer(None, str(error))
    # Whatever a document causes must not end the process, which serves other documents too.
    except Exception as error:  # noqa: BLE001
        return ParseAnswer(None, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
