// Peer: Bun's publish(), driven as described in lines.py.
const [port, itemsATurn] = Bun.argv.slice(2).map(Number);

const server = Bun.serve({
  port,
  hostname: "127.0.0.1",
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no", { status: 400 })),
  websocket: { perMessageDeflate: false, open: (socket) => socket.subscribe("news"), message() {} },
});
console.log("LISTENING");

const turn = () => new Promise((resolve) => setImmediate(resolve));
let waiting: string[] = [];
for await (const line of console) {
  waiting.push(line);
  if (waiting.length < itemsATurn) continue;
  for (const payload of waiting) server.publish("news", payload);
  waiting = [];
  await turn();
}
