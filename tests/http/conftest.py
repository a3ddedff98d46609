from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.server import RunningServer, running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running(database=str(tmp_path / "news.db")) as server:
        yield server
