from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.server import RunningServer, running
from tests.support.tokens import SECRET


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running(database=str(tmp_path / "news.db")) as server:
        yield server


@pytest.fixture
async def closed() -> AsyncIterator[RunningServer]:
    """A server that requires tokens."""
    async with running(jwt_secret=SECRET) as server:
        yield server
