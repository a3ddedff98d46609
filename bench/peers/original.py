"""Peer: a server built as the original was.

For each item and user: a connection to SQLite and a SELECT, four columns of JSON parsed, substrings searched, a text
made for this client alone; all of it gathered.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import aiosqlite
from aiohttp import web
from lines import BACKLOG, HOST, PORT, run, send_lines
from original_filter import wants

SCHEMA = """
CREATE TABLE user_subscriptions (
    user_id TEXT PRIMARY KEY, nitter_accounts TEXT, rss_feeds TEXT, categories TEXT, keywords TEXT,
    impact_threshold INTEGER, alert_channels TEXT, created_at REAL
)
"""
WANTED = (json.dumps([]), json.dumps([]), json.dumps(["economics"]), json.dumps(["fed", "rates"]), 40, "[]", 0.0)
USERS = 20_000

connections: dict[str, web.WebSocketResponse] = {}


async def send_to(database: str, user_id: str, message: dict[str, Any]) -> None:
    query = "SELECT * FROM user_subscriptions WHERE user_id = ?"
    async with aiosqlite.connect(database) as db, db.execute(query, (user_id,)) as cursor:
        row = await cursor.fetchone()
    if row is None or wants(tuple(row), message["data"]):
        await connections[user_id].send_str(json.dumps(message, separators=(",", ":")))


async def keep(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    user_id = request.query["user_id"]
    connections[user_id] = socket
    try:
        async for _message in socket:
            pass
    finally:
        connections.pop(user_id, None)
    return socket


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "news.db")
        async with aiosqlite.connect(database) as db:
            await db.execute(SCHEMA)
            rows = ((f"u{number}", *WANTED) for number in range(USERS))
            await db.executemany("INSERT INTO user_subscriptions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            await db.commit()
        application = web.Application()
        application.router.add_get("/ws/news", keep)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, PORT, backlog=BACKLOG).start()

        async def send(payload: bytes) -> None:
            message = json.loads(payload)
            # As many at once as there are descriptors: each opens the database.
            users = list(connections)
            for start in range(0, len(users), 500):
                await asyncio.gather(*(send_to(database, user, message) for user in users[start : start + 500]))

        await send_lines(send)


run(main())
