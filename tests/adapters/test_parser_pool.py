"""Documents are parsed in other processes, which are replaced when one harms them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.adapters.sources.rss import parser_pool
from app.adapters.sources.rss.parser_pool import ParserPool
from app.adapters.sources.rss.parsing import ParseFailed
from app.core.limits import FeedLimits
from tests.support.feeds import RSS, rss
from tests.support.time_limits import scaled

# Sleeps instead of parsing, once it has said that it is ready.
HANGING = "tests.support.hanging_parser"
pytestmark = pytest.mark.process


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    pool = ParserPool(FeedLimits(parse_timeout_s=scaled(20)))
    yield pool
    await pool.close()


async def test_documents_are_parsed(pool: ParserPool) -> None:
    documents = await asyncio.gather(*(pool.parse(RSS.encode(), "https://e.com/", "") for _ in range(8)))

    assert [len(document.entries) for document in documents] == [2] * 8
    assert documents[0].entries[1].date is not None


async def test_failures_are_told(pool: ParserPool) -> None:
    with pytest.raises(ParseFailed, match="no <rss>"):
        await pool.parse(b"<html></html>", "https://e.com/", "")


async def test_document_may_not_take_all_memory(pool: ParserPool) -> None:
    with pytest.raises(ParseFailed):
        await pool.parse(b"<rss><channel>" + b"<item><title>&amp;</title></item>" * 5_000_000, "https://e.com/", "")

    assert len((await pool.parse(rss("<title>x</title>").encode(), "https://e.com/", "")).entries) == 1


async def test_hanging_process_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ParserPool(FeedLimits(parse_timeout_s=0.2))
    with monkeypatch.context() as hanging:
        hanging.setattr(parser_pool, "_MODULE", HANGING)
        with pytest.raises(ParseFailed, match="took longer than"):
            await pool.parse(RSS.encode(), "https://e.com/", "")
        [*_] = pool._started
    pool._limits = FeedLimits(parse_timeout_s=scaled(20))
    documents = await asyncio.gather(*(pool.parse(RSS.encode(), "https://e.com/", "") for _ in range(3)))
    await pool.close()

    assert [len(document.entries) for document in documents] == [2] * 3
