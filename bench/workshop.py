"""The paths of what `make bench` builds, and the databases that rounds start from.

Users store their filters once, through the server's API; every round starts with a copy of that database.
"""

import asyncio
import shutil
from pathlib import Path

from bench.items import NOTHING, filters
from tests.support.process import server_process

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"
_BUILT = ROOT / ".bench"
LOAD, LIMIT = _BUILT / "load", _BUILT / "limit"
PEER_PYTHON, NATS = _BUILT / "venv" / "bin" / "python", _BUILT / "venv" / "bin" / "nats-server"
BUN = PEERS / "node_modules" / "@oven" / "bun-linux-x64" / "bin" / "bun"

BYSTANDERS = 100
_AT_ONCE = 64


class Scene:
    """A folder for one measurement, and a database with the filters of `users` users."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = folder / "stored.db"
        self._copies = 0

    async def store_filters(self, users: int, root: Path = ROOT) -> None:
        """Store the filters of users u0, u1 … and of bystanders b0, b1 …, with the server of the checkout in `root`."""
        wanted = {f"u{number}": filters(number) for number in range(users)}
        wanted |= {f"b{number}": NOTHING for number in range(BYSTANDERS)}
        turns = asyncio.Semaphore(_AT_ONCE)
        async with (
            server_process("--database", str(self._database), root=root) as running,
            asyncio.TaskGroup() as group,
        ):

            async def store(user_id: str, wants: dict[str, object]) -> None:
                async with turns:
                    await running.server.subscribe(user_id, **wants)

            for user_id, wants in wanted.items():
                group.create_task(store(user_id, wants))

    def fresh_database(self) -> str:
        """Copy the database; remove what the last round left."""
        copy = self.folder / f"round-{self._copies}.db"
        for left in self.folder.glob("round-*"):
            left.unlink()
        self._copies += 1
        for stored in self.folder.glob("stored.db*"):
            shutil.copy(stored, self.folder / stored.name.replace("stored.db", copy.name))
        return str(copy)
