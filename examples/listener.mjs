// Prints news as it arrives, and resumes after a disconnect.
//
// node examples/listener.mjs ws://localhost:8000 USER          (Node 22, or Node 20 with --experimental-websocket)

const [server, user] = process.argv.slice(2);
const BACKOFF_BASE_MS = 500, BACKOFF_CAP_MS = 30_000, HEALTHY_MS = 60_000;
// Close codes from here on mean: not until something has changed.
const FIRST_FATAL_CODE = 4500;

// Up to where everything was received. A client that must not miss items across its own restarts stores it.
let epoch = "", seq = 0, failures = 0;

function advance(message) {
  if (message.type === "welcome" && message.epoch !== epoch) [epoch, seq] = [message.epoch, message.seq];
  else if (["news_item", "keep_alive", "live"].includes(message.type)) seq = message.seq;
  else if (message.type === "gap") seq = message.to_seq;
}

function show(message) {
  if (message.type === "news_item") {
    console.log(message.seq, Math.round(message.data.impact_score), message.data.title);
  } else if (message.type === "gap" || message.type === "error") {
    console.log(JSON.stringify(message));
  }
}

function connect() {
  const query = new URLSearchParams({ user_id: user, v: 2 });
  if (epoch) query.set("resume", `${epoch}:${seq}`);
  // The only header that this WebSocket can set is the list of subprotocols.
  const token = process.env.NEWS_TOKEN;
  const protocols = token ? ["news.v2.json", `bearer.${token}`] : ["news.v2.json"];
  const openedAt = Date.now();
  const socket = new WebSocket(`${server}/ws/news?${query}`, protocols);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    show(message);
    advance(message);
  };
  let isOver = false;
  const end = ({ code = 1006, reason = "" }) => {
    if (isOver) return;
    isOver = true;
    if (code >= FIRST_FATAL_CODE) {
      console.error(`closed with ${code} ${reason}`);
      process.exit(1);
    }
    console.error(`closed with ${code} ${reason}; trying again`);
    failures = Date.now() - openedAt > HEALTHY_MS ? 0 : failures + 1;
    setTimeout(connect, Math.random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** failures));
  };
  socket.onclose = end;
  // Node 20 does not follow a failed connect with a close event.
  socket.onerror = () => setTimeout(end, 0, {});
}

if (!server || !user) {
  console.error("usage: node listener.mjs ws://localhost:8000 USER");
  process.exit(2);
}
if (typeof WebSocket === "undefined") {
  console.error("this Node has no WebSocket: use Node 22, or node --experimental-websocket");
  process.exit(2);
}
connect();
