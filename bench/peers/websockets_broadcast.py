"""Peer: websockets with its broadcast(), as its own guide recommends."""

from lines import BACKLOG, HOST, PORT, run, send_lines
from websockets.asyncio.server import ServerConnection, broadcast, serve

connections: set[ServerConnection] = set()


async def keep(connection: ServerConnection) -> None:
    connections.add(connection)
    try:
        await connection.wait_closed()
    finally:
        connections.discard(connection)


async def main() -> None:
    async with serve(keep, HOST, PORT, compression=None, backlog=BACKLOG):
        await send_lines(lambda payload: broadcast(connections, payload.decode()))


run(main())
