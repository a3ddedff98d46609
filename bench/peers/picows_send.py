"""Peer: picows with one send() a client."""

from lines import BACKLOG, HOST, PORT, run, send_lines
from picows import WSListener, WSMsgType, WSTransport, ws_create_server

connections: set[WSTransport] = set()


class Client(WSListener):
    """One client."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        connections.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        connections.discard(transport)


def send(payload: bytes) -> None:
    for connection in connections:
        connection.send(WSMsgType.TEXT, payload)


async def main() -> None:
    await ws_create_server(lambda _request: Client(), HOST, PORT, backlog=BACKLOG)
    await send_lines(send)


run(main())
