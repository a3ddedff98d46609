// Peer: ws for Node, with the loop over clients of its own README, driven as described in lines.py.
import { createInterface } from "node:readline";
import { WebSocket, WebSocketServer } from "ws";

const [port, itemsATurn] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ port, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
server.on("listening", () => console.log("LISTENING"));
server.on("connection", (socket) => socket.on("error", () => {}));

const turn = () => new Promise((resolve) => setImmediate(resolve));
let waiting = [];
for await (const line of createInterface({ input: process.stdin })) {
  waiting.push(Buffer.from(line));
  if (waiting.length < itemsATurn) continue;
  for (const payload of waiting)
    for (const socket of server.clients)
      if (socket.readyState === WebSocket.OPEN) socket.send(payload, { binary: false });
  waiting = [];
  await turn();
}
