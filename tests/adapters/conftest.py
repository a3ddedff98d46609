"""Fixtures for ports with several implementations: each suite runs against all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.memory.cursor_store import MemoryCursorStore
from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.adapters.memory.seen_store import MemorySeenStore
from app.adapters.memory.subscription_store import MemorySubscriptionStore
from app.adapters.sqlite.cursor_store import SqliteCursorStore
from app.adapters.sqlite.database import Database
from app.adapters.sqlite.news_log import open_log
from app.adapters.sqlite.opening import open_database
from app.adapters.sqlite.revocation_store import SqliteRevocationStore
from app.adapters.sqlite.seen_store import SqliteSeenStore
from app.adapters.sqlite.subscription_store import SqliteSubscriptionStore
from app.ports.log import NewsLog
from app.ports.seen import SeenStore
from app.ports.stores import CursorStore, RevocationStore, SubscriptionStore
from app.telemetry.stats import Stats
from tests.support.server_checks import all_output_is_described, no_blocking_calls

__all__ = ["all_output_is_described", "no_blocking_calls"]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(str(tmp_path / "news.db"), Stats()) as database:
        yield database


@pytest.fixture(params=["memory", "sqlite"])
async def log(request: pytest.FixtureRequest, database: Database) -> NewsLog:
    return MemoryNewsLog() if request.param == "memory" else await open_log(database)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, database: Database) -> SubscriptionStore:
    return MemorySubscriptionStore() if request.param == "memory" else SqliteSubscriptionStore(database)


@pytest.fixture(params=["memory", "sqlite"])
def cursors(request: pytest.FixtureRequest, database: Database) -> CursorStore:
    return MemoryCursorStore() if request.param == "memory" else SqliteCursorStore(database)


@pytest.fixture(params=["memory", "sqlite"])
def revoked(request: pytest.FixtureRequest, database: Database) -> RevocationStore:
    return MemoryRevocationStore() if request.param == "memory" else SqliteRevocationStore(database)


@pytest.fixture(params=["memory", "sqlite"])
def seen(request: pytest.FixtureRequest, database: Database) -> SeenStore:
    return MemorySeenStore() if request.param == "memory" else SqliteSeenStore(database)
