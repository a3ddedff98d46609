"""Fixtures for tests over HTTP: servers with and without tokens."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.server import RunningServer, running
from tests.support.server_checks import all_output_is_described, no_blocking_calls
from tests.support.tokens import SECRET

__all__ = ["all_output_is_described", "no_blocking_calls"]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running(database=str(tmp_path / "news.db")) as server:
        yield server


@pytest.fixture
async def closed() -> AsyncIterator[RunningServer]:
    """A server that requires tokens."""
    async with running(jwt_secret=SECRET) as server:
        yield server
