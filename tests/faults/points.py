"""Make any one line of the delivery fail once, and judge what every client was told.

A fault point is a line of the traced modules, the number of the time that it runs, and the error that it raises there.
The same scenario is run once for each point: clients of every kind connect, resume, fall behind, acknowledge and get
items, and one line fails. The model of each client then knows what the server claimed: an item, a checkpoint, `live` or
a gap at seq N says that the client has every matching item up to N.
"""

import asyncio
import inspect
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec

from app.adapters.memory.stores import memory_stores
from app.core.delivery.positions import Position
from app.core.errors import ErrorCode, ServerError
from app.core.filters.filter import MATCH_ALL, Filter
from app.core.limits import Limits
from app.core.protocol.close_codes import DisconnectReason
from app.flows.delivery.channel import Channel
from app.flows.delivery.session import Session
from tests.support.harness import Harness
from tests.support.link import RecordingLink, payload_of

ROOT = Path(__file__).parents[2]
ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: RuntimeError("a bug"),
    MemoryError,
    lambda: ConnectionResetError("the peer is gone"),
    lambda: ServerError(ErrorCode.OVERLOADED),
    TimeoutError,
)
DELIVERY = tuple(
    f"app/flows/delivery/{name}.py"
    for name in (
        *("acks", "broadcast", "catch_up", "channel", "fanout", "in_flight", "live", "live_delivery", "log_reader"),
        *("replay_filter", "session", "slots"),
    )
)
LIMITS = Limits().with_values(
    {
        "delivery.checkpoint_interval_items": 4,
        "delivery.write_high_water_bytes": 2_000,
        "delivery.write_low_water_bytes": 1_000,
        "delivery.ack_window_items": 3,
    }
)


class Point(NamedTuple):
    """A place that can fail: the file, the function, whether it is a coroutine, the line, and how often the line ran
    before. Only a coroutine waits for stores, so only there can a ServerError arise.
    """

    path: str
    function: str
    is_coroutine: bool
    line: int
    times: int


class Injector:
    """Counts the lines that run in the traced files, and raises an error at one of them."""

    def __init__(self, paths: Sequence[str], target: Point | None = None, error: Callable[[], Exception] | None = None):
        self._paths = {str(ROOT / path): path for path in paths}
        self._target, self._error = target, error
        self._ran: Counter[tuple[str, int]] = Counter()
        self.points: list[Point] = []
        self.has_fired = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Trace the lines that this thread runs in the body."""
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            sys.settrace(before)

    def _on_call(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._on_line if frame.f_code.co_filename in self._paths else None

    def _on_line(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line" and not self.has_fired:
            path = self._paths[frame.f_code.co_filename]
            key = path, frame.f_lineno
            code = frame.f_code
            is_coroutine = bool(code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR))
            point = Point(path, code.co_qualname, is_coroutine, frame.f_lineno, self._ran[key])
            self._ran[key] += 1
            self.points.append(point)
            if self._target == point and self._error is not None:
                self.has_fired = True
                raise self._error()
        return self._on_line


class ModelLink(RecordingLink):
    """A link that takes nothing after it was closed, and can be written to by the stand-in for SendMany."""

    def __init__(self, *, stalled: bool = False) -> None:
        super().__init__(stalled=stalled)
        self.is_shared = True

    @property
    def is_over(self) -> bool:
        return bool(self.endings) or self.aborted

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The JSON of every text frame, also of the compressed ones (RFC 7692)."""
        return [_message(frame) for frame in self.frames if frame[0] & 0x0F == 1]

    def write(self, frames: bytes) -> bool:
        if self.is_over:
            return False
        return super().write(frames)


def send_many(handles: Sequence[object], frame: bytes) -> list[int]:
    """Stand in for SendMany: a handle is the link itself."""
    return [len(frame) if isinstance(link, ModelLink) and link.write(frame) else 0 for link in handles]


class ModelClient:
    """A client that believes what the server says, and notes what was wrong with it."""

    def __init__(self, name: str, wants: Callable[[int], bool] = lambda _seq: True, **options: Any) -> None:
        self.name, self.wants, self.options = name, wants, options
        self.link = ModelLink()
        self.session: Session | None = None
        self.have: set[int] = set()
        self.gaps: set[int] = set()
        self.wrong: list[str] = []
        self.closes: list[DisconnectReason] = []
        self.start = self.position = 0
        self._read = self._last = 0

    @property
    def resumes(self) -> bool:
        return bool(self.options.get("is_v2") or self.options.get("uses_acks"))

    async def connect(self, harness: Harness, *, stalled: bool = False) -> None:
        """Connect, or connect again at the own position."""
        self.link, self._read, self._last = ModelLink(stalled=stalled), 0, 0
        if stalled:
            self.link.send_handle = None
        else:
            self.link.send_handle = self.link
        resume = None
        if self.options.get("is_v2") and self.session is not None and not self.options.get("uses_acks"):
            resume = Position(harness.stores.log.epoch, self.position)
        if not self.resumes or self.session is None:
            self.start = self.position = harness.live.position
        options = {"wanted": MATCH_ALL, "resume": resume} | self.options
        self.session, _ = await harness.arrive(self.name, link=self.link, **options)
        if self.name == "named":
            harness.manager.join_channel(self.session, Channel("loud", Filter(impact_threshold=50)))

    def read(self) -> None:
        """Take in what was sent since the last call."""
        messages = self.link.messages
        for message in messages[self._read :]:
            self._take(message)
        self._read = len(messages)

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "news_item":
            self._take_item(message["seq"], is_again=bool(message.get("redelivered")))
        elif kind in ("keep_alive", "live"):
            self._claim(message["seq"], kind)
        elif kind == "gap":
            self.gaps.update(range(message["from_seq"], message["to_seq"] + 1))
            self._claim(message["to_seq"], kind)

    def _take_item(self, seq: int, *, is_again: bool) -> None:
        if seq in self.have and not is_again:
            self.wrong.append(f"item {seq} twice")
        if seq <= self._last and not is_again:
            self.wrong.append(f"item {seq} after {self._last}")
        if not self.wants(seq):
            self.wrong.append(f"item {seq} unwanted")
        self._last = max(self._last, seq)
        self.have.add(seq)
        self._claim(seq, "item")

    def _claim(self, seq: int, by: str) -> None:
        missing = [one for one in range(self.start + 1, seq + 1) if self.wants(one)]
        missing = [one for one in missing if one not in self.have and one not in self.gaps]
        if missing:
            self.wrong.append(f"{by} at {seq} although {missing} are missing")
        self.position = max(self.position, seq)


class Outcome(NamedTuple):
    """What became of one run: what was wrong, how many connections were closed, whether the server ended."""

    wrong: list[str]
    closed: int
    is_server_ended: bool
    gaps: int
    points: list[Point]


def clients() -> list[ModelClient]:
    """Return a client of each kind. The impact of item N is 10 × (N mod 10)."""
    loud = Filter(impact_threshold=50)
    return [
        ModelClient("classic"),
        ModelClient("v2", is_v2=True),
        ModelClient("loud", lambda seq: seq % 10 >= 5, is_v2=True, wanted=loud),
        ModelClient("deflate", is_v2=True, window_bits=15),
        ModelClient("acks", is_v2=True, uses_acks=True, device_id="desk"),
        ModelClient("named", is_v2=True),
        ModelClient("slow", is_v2=True),
        ModelClient("late", is_v2=True),
    ]


class World:
    """The server's delivery with its tasks, and the clients."""

    def __init__(self, injector: Injector) -> None:
        self.injector = injector
        self.harness = Harness(LIMITS, memory_stores())
        self.clients = clients()
        self.is_server_ended = False
        self.closed = 0
        self._tasks: list[asyncio.Task[None]] = []

    def client(self, name: str) -> ModelClient:
        return next(one for one in self.clients if one.name == name)

    async def run(self) -> Outcome:
        """Play the scenario: undisturbed at first, then with the fault, then until everything has come to rest."""
        self._start()
        for client in self.clients:
            if client.name != "late":
                await client.connect(self.harness, stalled=client.name == "slow")
        await self._publish(3)
        with self.injector.armed():
            await self._disturbed()
        await self._come_to_rest()
        self._end()
        wrong = [f"{client.name}: {fault}" for client in self.clients for fault in client.wrong]
        wrong += [fault for client in self.clients for fault in self._missing(client)]
        gaps = sum(len(client.gaps) for client in self.clients)
        return Outcome(wrong, self.closed, self.is_server_ended, gaps, self.injector.points)

    def _missing(self, client: ModelClient) -> list[str]:
        head = self.harness.stores.log.head
        known = client.have | client.gaps
        missing = [seq for seq in range(client.start + 1, head + 1) if client.wants(seq) and seq not in known]
        return [f"{client.name}: never told of {missing}"] if missing else []

    async def _disturbed(self) -> None:
        await self._publish(5)
        await self._ack("acks")
        await self._connect(self.client("late"))
        await self._publish(4)
        slow = self.client("slow")
        self._call(slow, slow.link.take)
        await self._settle()
        self.harness.clock.move(LIMITS.delivery.ack_timeout_s + 1)
        self._redeliver()
        await self._settle()
        await self._ack("acks")
        await self._publish(3)

    async def _come_to_rest(self) -> None:
        for _ in range(6):
            if any(task.done() for task in self._tasks):
                await self._restart()
            for client in self.clients:
                client.read()
                if client.link.is_over or client.session is None or client.session.disconnect_reason is not None:
                    self._forget(client)
                    await client.connect(self.harness)
            for client in self.clients:
                self._call(client, client.link.take)
            await self._ack("acks")
            await self._publish(1)
        self.harness.delivery.checkpoint(self.harness.manager.open_sessions())
        for client in self.clients:
            client.read()

    def _forget(self, client: ModelClient) -> None:
        """Tell the server that a client's socket is closed."""
        self.closed += 1
        if client.session is not None:
            with suppress(Exception):
                self.harness.leave(client.session)

    async def _restart(self) -> None:
        """Start a new server on the same stores: the tasks of the old one have ended, so it has ended."""
        self._end()
        for client in self.clients:
            client.read()
            client.link.abort()
        self.is_server_ended = True
        published = self.harness.published
        clock = self.harness.clock
        self.harness = Harness(LIMITS, self.harness.stores, clock)
        self.harness.published = published
        self._start()

    def _start(self) -> None:
        works = self.harness.broadcaster.follow, self.harness.broadcaster.run, self.harness.clients.catch_up.run
        self._tasks = [asyncio.create_task(work()) for work in works]

    def _end(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.exception()
            task.cancel()

    async def _publish(self, count: int) -> None:
        for _ in range(count):
            number = self.harness.published + 1
            await self.harness.store(1, impact_score=float(number % 10 * 10))
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(4):
            for _ in range(40):
                await asyncio.sleep(0)
            self.harness.clock.move(0.1)
        for client in self.clients:
            client.read()

    async def _connect(self, client: ModelClient) -> None:
        try:
            await client.connect(self.harness)
        # The upgrade is answered with an error; the client tries again.
        except Exception:  # noqa: BLE001
            client.link.abort()

    async def _ack(self, name: str) -> None:
        client = self.client(name)
        if client.session is None or client.link.is_over or not client.have:
            return
        session, message = client.session, {"type": "ack", "seq": max(client.have)}
        self._call(client, lambda: self.harness.clients.dispatcher.on_message(session, _json(message)))
        await self._settle()

    def _redeliver(self) -> None:
        """Do what the housekeeping does."""
        now = self.harness.clock.monotonic()
        try:
            for session in self.harness.manager.open_sessions():
                self.harness.delivery.change(session, partial(self.harness.clients.acks.redeliver, now=now))
        except Exception:  # noqa: BLE001 - the task has ended
            self._tasks[0].cancel()

    def _call(self, client: ModelClient, call: Callable[[], None]) -> None:
        """Call into the server as an event of a socket, whose connection is lost if it raises an exception."""
        try:
            call()
        except Exception:  # noqa: BLE001 - the injected one
            client.link.abort()


def _message(frame: bytes) -> dict[str, Any]:
    payload = payload_of(frame)
    if frame[0] & 0x40:
        payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
    message: dict[str, Any] = msgspec.json.decode(payload)
    return message


def _json(message: dict[str, Any]) -> str:
    return str(message).replace("'", '"')


async def run_once(injector: Injector) -> Outcome:
    """Run the scenario once."""
    with patch("app.wiring.send_many", send_many):
        return await World(injector).run()
