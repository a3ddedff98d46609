// The page's WebSocket client. It resumes after a disconnect, and inserts items as text, never as markup.

const SHOWN = 40;
const BASE_MS = 500;
const CAP_MS = 30_000;
const HEALTHY_MS = 60_000;

const NO_RETRY_FROM = 4500;
const UNAUTHENTICATED = 4502;
const NEEDS_TOKEN = "this server requires a token: open this page as /#token=…";

// A fragment never leaves the browser: /#token=… is for servers that require tokens.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const user = `page-${crypto.randomUUID()}`;
const MOVES = { news_item: "seq", keep_alive: "seq", live: "seq", gap: "to_seq" };
// The position up to which everything was received; it is kept across connections.
const place = { epoch: "", seq: 0 };

const wire = document.getElementById("wire");
const state = document.getElementById("state");

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function show(item, direction = "prepend") {
  const line = document.createElement("li");
  if (item.is_high_signal) line.className = "high";
  const headline = document.createElement("div");
  const link = element("a", "", item.title);
  if (/^https?:/.test(item.url)) link.href = item.url;
  link.rel = "noreferrer noopener";
  const time = new Date(item.published_at * 1000).toLocaleTimeString();
  headline.append(link, element("small", "", [time, item.source_account, ...item.tickers].filter(Boolean).join(" · ")));
  line.append(element("span", "impact", Math.round(item.impact_score)), element("span", "category", item.category), headline);
  wire[direction](line);
  while (wire.childElementCount > SHOWN) wire.lastElementChild.remove();
}

function move(message) {
  if (message.type === "welcome" && message.epoch !== place.epoch) Object.assign(place, { epoch: message.epoch, seq: message.seq });
  else if (message.type in MOVES) place.seq = message[MOVES[message.type]];
}

function connect(attempt) {
  const openedAt = Date.now();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const back = place.epoch ? `&resume=${place.epoch}:${place.seq}` : "";
  const who = token ? "" : `&user_id=${user}`;
  const protocols = token ? ["news.v2.json", `bearer.${token}`] : ["news.v2.json"];
  const socket = new WebSocket(`${scheme}://${location.host}/ws/news?v=2${who}${back}`, protocols);
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "welcome") state.textContent = "connected";
    move(message);
    if (message.type === "news_item") show(message.data);
  };
  socket.onclose = (event) => {
    state.textContent = event.code === UNAUTHENTICATED ? NEEDS_TOKEN : `not connected ${event.reason}`.trim();
    if (event.code >= NO_RETRY_FROM) return;
    const next = Date.now() - openedAt > HEALTHY_MS ? 0 : attempt + 1;
    // Full jitter: clients that were dropped together do not reconnect together.
    setTimeout(() => connect(next), Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** next));
  };
}

async function start() {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const answer = await fetch(`/api/v1/news?limit=${SHOWN}`, { headers });
    if (answer.ok) for (const item of (await answer.json()).items) show(item, "append");
    if (answer.status === 401 && !token) {
      state.textContent = NEEDS_TOKEN;
      return;
    }
  } catch (error) {
    console.error(error);
  }
  connect(0);
}

start();
