"""Parse documents in other processes, so that the event loop, and the other feeds, do not wait for one document."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress

import structlog

from app.adapters.sources.rss.parser_process import READY, ParseRequest, decode_answer, encode, framed
from app.adapters.sources.rss.parsing import ParseFailed
from app.core.limits import FeedLimits
from app.core.news.feed_entry import FeedDocument

_PROCESSES = 2
_MODULE = "app.adapters.sources.rss.parser_process"
_START_TIMEOUT_S = 20.0

_log = structlog.get_logger("rss")


class ParserPool:
    """Processes that parse, which are started when they are first needed. One that hangs or ends is replaced."""

    def __init__(self, limits: FeedLimits) -> None:
        self._limits = limits
        # The free places for processes: each with its process, or None if that has to be started.
        self._places: asyncio.Queue[Process | None] = asyncio.Queue()
        for _ in range(_PROCESSES):
            self._places.put_nowait(None)
        self._started: set[Process] = set()

    async def parse(self, body: bytes, url: str, http_charset: str) -> FeedDocument:
        """Parse a document as `parsing.parse` does. Raises ParseFailed also if that takes too long or too much
        memory.
        """
        process, is_free = await self._places.get(), False
        try:
            process = process or await self._start()
            request = ParseRequest(body, url, http_charset, self._limits.max_entries)
            async with asyncio.timeout(self._limits.parse_timeout_s):
                payload = await _ask(process, framed(encode(request)))
            is_free = True
        except TimeoutError:
            raise ParseFailed(f"parsing took longer than {self._limits.parse_timeout_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ParseFailed("the parser ended: the document needs too much memory, or breaks it") from None
        finally:
            if not is_free and process is not None:
                self._end(process)
                _log.warning("parser_replaced", url=url)
            self._places.put_nowait(process if is_free else None)
        answer = decode_answer(payload)
        if answer.document is None:
            raise ParseFailed(answer.failure)
        return answer.document

    async def close(self) -> None:
        """End all processes."""
        for process in list(self._started):
            self._end(process)
            await process.wait()

    async def _start(self) -> Process:
        # In a session of its own, so that a signal for the server's group of processes does not end it.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _MODULE), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
        self._started.add(process)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                if process.stdout is not None:
                    await process.stdout.readexactly(len(READY))
        except BaseException:
            self._end(process)
            raise
        return process

    def _end(self, process: Process) -> None:
        self._started.discard(process)
        with suppress(ProcessLookupError):
            process.kill()


async def _ask(process: Process, request: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        # For the type checker: both are pipes.
        raise ConnectionError
    process.stdin.write(request)
    await process.stdin.drain()
    return await process.stdout.readexactly(int.from_bytes(await process.stdout.readexactly(4)))
