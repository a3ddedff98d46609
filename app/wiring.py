"""The composition root: builds every part and connects them. Read this first: it is the map.

    sources ─▶ raw_news_queue ─▶ NewsProcessor ─▶ NewsLog ─▶ follow ─▶ websocket_queue ─▶ WebSocketBroadcaster
                   POST /api/v1/news ─▶ ┘                                                        │
                                                  ConnectionManager ◀── FilterIndex.match ◀──────┘
                                                          │ the same bytes
                                                          ▼
                                                  SocketLink of every connection that matched

This file owns how parts are built, started, and stopped in order.
"""

import asyncio
import platform
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
from aiohttp import __version__ as aiohttp_version
from aiohttp import web

import app
from app.adapters.clock import SystemClock
from app.adapters.descriptors import usable_descriptors
from app.adapters.feeds.catalogue import Feed, read_catalogue
from app.adapters.feeds.poller import RssPoller
from app.adapters.feeds.sample_wire import SampleWire
from app.adapters.http.application import AccessLog, build_application
from app.adapters.http.pages import Page, load_pages
from app.adapters.http.parts import FeedCounts, Parts
from app.adapters.markup import to_text
from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.memory.subscription_store import MemorySubscriptionStore
from app.adapters.sqlite.database import open_database
from app.adapters.sqlite.news_log import open_log
from app.adapters.sqlite.subscription_store import SqliteSubscriptionStore
from app.adapters.tables import load_sample_wire, load_tables
from app.config import MEMORY, Settings
from app.core.limits import Limits
from app.flows.broadcast import WebSocketBroadcaster
from app.flows.connections import ConnectionManager
from app.flows.converse import Converse
from app.flows.history import History
from app.flows.process import Arrival, NewsProcessor, Tables
from app.flows.retention import Retention
from app.flows.subscriptions import Subscriptions
from app.ports import Clock, NewsLog, Record, SubscriptionStore
from app.telemetry.exposition import Gauge, build_registry
from app.telemetry.stats import Stats

# Descriptors that are not WebSockets: listener, database, feeds, scrapes, REST clients.
_RESERVED_DESCRIPTORS = 256
_KEEPALIVE_S = 10.0
_BACKLOG = 1024
_REMEMBERED_ITEMS = 2_000
_LEVEL_WITHIN_S = 5.0
_STRAGGLERS_S = 1.5
_DAY_S = 86_400.0

_log = structlog.get_logger("wiring")


class Stores(NamedTuple):
    """What outlives the process, or stands in for it."""

    log: NewsLog
    subscriptions: SubscriptionStore


class Files(NamedTuple):
    """What is read from files once, before anything runs."""

    tables: Tables
    feeds: Sequence[Feed]
    sample_wire: Sequence[dict[str, object]]
    pages: Mapping[str, Page]


class Server(NamedTuple):
    """Every part that has a beginning and an end, ready to run."""

    parts: Parts
    raw_news_queue: asyncio.Queue[Arrival]
    broadcaster: WebSocketBroadcaster
    sources: Sequence[RssPoller | SampleWire]
    workers: Sequence[Callable[[], Awaitable[None]]]


async def serve(settings: Settings, stopping: asyncio.Event, started: Callable[[list[str]], None]) -> None:
    """Run the server until `stopping` is set, then drain. `started` gets the addresses it listens on.

    Raises Damaged, BadCatalogue, OSError (address in use), and ExceptionGroup when a worker fails: broken inside state
    stops the server loudly.
    """
    async with _open_stores(settings) as stores:
        files = await asyncio.to_thread(read_files, settings)
        server = build(settings, stores, files, SystemClock())
        newest = await stores.log.read(max(stores.log.head - _REMEMBERED_ITEMS, 0), _REMEMBERED_ITEMS)
        server.parts.processor.remember(newest)
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(_forever(work)) for work in server.workers]
            intake = [tasks.create_task(_forever(source.run)) for source in server.sources]
            async with _listening(server.parts, settings) as addresses:
                started(addresses)
                await stopping.wait()
                await _drain(server, intake)
            for task in workers:
                task.cancel()


def read_files(settings: Settings) -> Files:
    """Read everything that is read once. Raises BadCatalogue."""
    return Files(
        tables=load_tables(),
        feeds=read_catalogue(settings.feeds) if settings.feeds else [],
        sample_wire=load_sample_wire() if settings.sample_wire else [],
        pages=load_pages(),
    )


def build(settings: Settings, stores: Stores, files: Files, clock: Clock) -> Server:
    """Build every part and connect them; nothing runs yet."""
    limits = _limits(settings)
    stats = Stats()
    raw_news_queue: asyncio.Queue[Arrival] = asyncio.Queue(limits.intake_items)
    websocket_queue: asyncio.Queue[Record] = asyncio.Queue(limits.broadcast_queue_items)
    connections = ConnectionManager(limits, clock, stats, position=stores.log.head)
    subscriptions = Subscriptions(stores.subscriptions, connections, clock)
    processor = NewsProcessor(stores.log, raw_news_queue, files.tables, to_text, limits, clock, stats)
    broadcaster = WebSocketBroadcaster(stores.log, websocket_queue, connections, clock, stats)
    retention = Retention(stores.log, clock, settings.retention_days * _DAY_S, limits.history_items)
    poller = RssPoller(files.feeds, raw_news_queue, limits, clock, stats)
    sample_wire = [SampleWire(files.sample_wire, raw_news_queue, clock)] if files.sample_wire else []
    parts = Parts(
        log=stores.log,
        processor=processor,
        history=History(stores.log, limits.scan_items),
        subscriptions=subscriptions,
        connections=connections,
        converse=Converse(connections, subscriptions, limits, clock, stats),
        registry=build_registry(stats, _gauges(connections, processor, websocket_queue, limits), _build_info()),
        stats=stats,
        limits=limits,
        clock=clock,
        pages=files.pages,
        cors_origins=settings.cors_origins,
        feed_counts=lambda: FeedCounts(poller.total, poller.active),
        started_at=clock.wall(),
        version=app.__version__,
    )
    workers = (broadcaster.follow, broadcaster.run, processor.run, connections.run_sweeps, retention.run)
    return Server(parts, raw_news_queue, broadcaster, (poller, *sample_wire), workers)


@asynccontextmanager
async def _open_stores(settings: Settings) -> AsyncIterator[Stores]:
    if settings.database == MEMORY:
        yield Stores(MemoryNewsLog(), MemorySubscriptionStore())
        return
    async with open_database(settings.database) as database:
        yield Stores(await open_log(database), SqliteSubscriptionStore(database))


@asynccontextmanager
async def _listening(parts: Parts, settings: Settings) -> AsyncIterator[list[str]]:
    """Listen while the context lasts, and give the addresses."""
    runner = web.AppRunner(
        build_application(parts),
        access_log_class=AccessLog,
        keepalive_timeout=_KEEPALIVE_S,
        handle_signals=False,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    try:
        for listener in _listeners(settings.host, settings.port, parts.limits.send_buffer_bytes):
            await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        yield [f"http://{_printable(address)}" for address in runner.addresses]
    finally:
        await runner.cleanup()


async def _drain(server: Server, intake: Sequence[asyncio.Task[None]]) -> None:
    """Stop in order: no new clients, no new items, what was accepted goes out, every client is told to come back."""
    parts = server.parts
    _log.info("draining", connections=len(parts.connections))
    parts.connections.is_draining = True
    parts.processor.close()
    for task in intake:
        task.cancel()
    try:
        async with asyncio.timeout(_LEVEL_WITHIN_S):
            await server.raw_news_queue.join()
            await server.broadcaster.wait_until_level()
    except TimeoutError:
        _log.warning("drain_cut_short", waiting_items=server.raw_news_queue.qsize())
    await parts.connections.drain(parts.limits.drain_s)
    await parts.connections.wait_until_empty(_STRAGGLERS_S)
    await parts.converse.stop()
    _log.info("drained")


async def _forever(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=min(settings.max_connections, usable_descriptors() - _RESERVED_DESCRIPTORS),
        connections_per_user=settings.max_connections_per_user,
        heartbeat_s=settings.heartbeat_s,
    )


def _gauges(
    connections: ConnectionManager,
    processor: NewsProcessor,
    websocket_queue: asyncio.Queue[Record],
    limits: Limits,
) -> list[Gauge]:
    return [
        Gauge("news_connections", "Connections open now.", lambda: len(connections)),
        Gauge("news_connections_limit", "Most connections at once.", lambda: limits.connections),
        Gauge("news_users", "Distinct users with a connection.", lambda: connections.users),
        Gauge(
            "news_filter_slots", "Live slots: filters that every item is decided for.", lambda: len(connections.index)
        ),
        Gauge("news_queue_items", "Items waiting for the broadcaster.", websocket_queue.qsize),
        Gauge("news_queue_capacity_items", "Bound of the broadcaster's queue.", lambda: websocket_queue.maxsize),
        Gauge("news_intake_queue_items", "Items of feeds that are not in the log yet.", lambda: processor.waiting),
        Gauge("news_send_buffer_bytes", "Bytes in all write buffers.", lambda: connections.buffered_bytes()[0]),
        Gauge(
            "news_send_buffer_max_bytes", "Bytes in the fullest write buffer.", lambda: connections.buffered_bytes()[1]
        ),
        Gauge("news_ready", "1 while new connections are welcome.", lambda: float(not connections.is_draining)),
    ]


def _build_info() -> dict[str, str]:
    return {"version": app.__version__, "python": platform.python_version(), "aiohttp": aiohttp_version}


def _listeners(host: str, port: int, send_buffer_bytes: int) -> list[socket.socket]:
    """Bind every address of the host. A small send buffer keeps a slow client's backlog where it is counted."""
    listeners = []
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _name, address in dict.fromkeys(infos):
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listeners.append(listener)
    return listeners


def _printable(address: Sequence[object]) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
