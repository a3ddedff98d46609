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
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import structlog
from aiohttp import __version__ as aiohttp_version

import app
from app.adapters.clock import SystemClock
from app.adapters.descriptors import usable_descriptors
from app.adapters.feeds.catalogue import Feed, read_catalogue
from app.adapters.feeds.poller import RssPoller
from app.adapters.feeds.sample_wire import SampleWire
from app.adapters.http.application import build_application, build_operations, routes_of
from app.adapters.http.listening import running
from app.adapters.http.pages import Page, load_pages
from app.adapters.http.parts import FeedCounts, Parts
from app.adapters.http.socket import CANARY_KEY, CANARY_PATH
from app.adapters.markup import to_text
from app.adapters.memory.news_log import MemoryNewsLog
from app.adapters.memory.subscription_store import MemorySubscriptionStore
from app.adapters.receiver import open_receiver
from app.adapters.sqlite.database import open_database
from app.adapters.sqlite.news_log import open_log
from app.adapters.sqlite.subscription_store import SqliteSubscriptionStore
from app.adapters.tables import load_sample_wire, load_tables
from app.config import MEMORY, ConnectionPolicy, Settings
from app.core.limits import Limits
from app.flows.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.canary import Canary
from app.flows.canary_end import CanaryEnd
from app.flows.connections import ConnectionManager
from app.flows.converse import Converse
from app.flows.explain import Explain
from app.flows.history import History
from app.flows.process import Arrival, NewsProcessor, Tables
from app.flows.readiness import Readiness
from app.flows.retention import Retention
from app.flows.subscriptions import Subscriptions
from app.flows.upkeep import Upkeep
from app.flows.vigil import watch_loop
from app.ports import Clock, NewsLog, SubscriptionStore
from app.telemetry.catalogue import BUFFER_GAUGES, GaugeFamily, GaugeGroup, gauge, gauges
from app.telemetry.exposition import build_registry
from app.telemetry.stats import Stats

# Descriptors that are not WebSockets: listener, database, feeds, scrapes, REST clients.
_RESERVED_DESCRIPTORS = 256
_REMEMBERED_ITEMS = 2_000
_LEVEL_WITHIN_S = 5.0
_STRAGGLERS_S = 1.5
_DAY_S = 86_400.0

_log = structlog.get_logger("wiring")


class Stores(NamedTuple):
    """What outlives the process, or stands in for it, and how it is doing."""

    log: NewsLog
    subscriptions: SubscriptionStore
    pending_operations: Callable[[], float] = lambda: 0.0
    file_sizes: Callable[[], Mapping[str, float]] = lambda: {"main": 0.0, "wal": 0.0}


class Files(NamedTuple):
    """What is read from files once, before anything runs."""

    tables: Tables
    feeds: Sequence[Feed]
    sample_wire: Sequence[dict[str, object]]
    pages: Mapping[str, Page]


class Listening(NamedTuple):
    """Where the server listens: `http://host:port`, and where /metrics has a port of its own, that."""

    addresses: list[str]
    metrics_addresses: list[str]


class Server(NamedTuple):
    """Every part that has a beginning and an end, ready to run."""

    parts: Parts
    raw_news_queue: asyncio.Queue[Arrival]
    broadcaster: WebSocketBroadcaster
    upkeep: Upkeep
    canary: Canary
    sources: Sequence[RssPoller | SampleWire]
    workers: Sequence[Callable[[], Coroutine[None, None, None]]]


async def serve(
    settings: Settings, stopping: asyncio.Event, started: Callable[[Listening], None], stats: Stats
) -> None:
    """Run the server until `stopping` is set, then drain. `started` gets where it listens.

    Raises Damaged, BadCatalogue, OSError (address in use), and ExceptionGroup when a worker fails: broken inside state
    stops the server loudly.
    """
    async with _open_stores(settings, stats) as stores:
        files = await asyncio.to_thread(read_files, settings)
        server = build(settings, stores, files, SystemClock(), stats)
        newest = await stores.log.read(max(stores.log.head - _REMEMBERED_ITEMS, 0), _REMEMBERED_ITEMS)
        server.parts.processor.remember(newest)
        async with _listening(server.parts, settings) as listening, asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(work()) for work in server.workers]
            workers.append(tasks.create_task(_probe(server, listening)))
            intake = [tasks.create_task(source.run()) for source in server.sources]
            started(listening)
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


def build(settings: Settings, stores: Stores, files: Files, clock: Clock, stats: Stats) -> Server:
    """Build every part and connect them; nothing runs yet."""
    limits = _limits(settings)
    raw_news_queue: asyncio.Queue[Arrival] = asyncio.Queue(limits.intake_items)
    websocket_queue = BroadcastQueue(limits.broadcast_queue_items)
    connections = ConnectionManager(limits, clock, stats, position=stores.log.head)
    subscriptions = Subscriptions(stores.subscriptions, connections, clock)
    explain = Explain(stores.log, subscriptions, connections)
    processor = NewsProcessor(stores.log, raw_news_queue, files.tables, to_text, limits, clock, stats)
    broadcaster = WebSocketBroadcaster(stores.log, websocket_queue, connections, clock, stats)
    retention = Retention(stores.log, clock, settings.retention_days * _DAY_S, limits.history_items)
    poller = RssPoller(files.feeds, raw_news_queue, limits, clock, stats)
    sample_wire = [SampleWire(files.sample_wire, raw_news_queue, clock)] if files.sample_wire else []
    canary_end = CanaryEnd(limits, clock)
    canary = Canary(websocket_queue, canary_end.send, limits, clock, stats)
    readiness = Readiness(stores.log, connections, broadcaster, limits, clock)
    observed = _gauges(stores, connections, processor, websocket_queue, readiness, limits, clock)
    parts = Parts(
        log=stores.log,
        processor=processor,
        history=History(stores.log, limits.scan_items),
        subscriptions=subscriptions,
        connections=connections,
        readiness=readiness,
        explain=explain,
        converse=Converse(connections, subscriptions, explain, limits, clock, stats),
        canary_end=canary_end,
        canary_key=secrets.token_hex(16),
        registry=build_registry(
            stats, observed, {"version": app.__version__, "revision": settings.revision, "aiohttp": aiohttp_version}
        ),
        stats=stats,
        limits=limits,
        clock=clock,
        pages=files.pages,
        cors_origins=settings.cors_origins,
        feed_counts=lambda: FeedCounts(poller.total, poller.active),
        has_own_metrics_port=settings.metrics_port is not None,
        started_at=clock.monotonic(),
        version=app.__version__,
    )
    upkeep = Upkeep(connections, limits, clock)
    lag = partial(watch_loop, clock, stats)
    workers = (broadcaster.follow, broadcaster.run, processor.run, upkeep.run_sweeps, retention.run, lag)
    return Server(parts, raw_news_queue, broadcaster, upkeep, canary, (poller, *sample_wire), workers)


@asynccontextmanager
async def _open_stores(settings: Settings, stats: Stats) -> AsyncIterator[Stores]:
    if settings.database == MEMORY:
        yield Stores(MemoryNewsLog(), MemorySubscriptionStore())
        return
    async with open_database(settings.database, stats) as database:
        log, subscriptions = await open_log(database), SqliteSubscriptionStore(database)
        yield Stores(log, subscriptions, lambda: database.pending, database.file_sizes)


@asynccontextmanager
async def _listening(parts: Parts, settings: Settings) -> AsyncIterator[Listening]:
    """Listen while the context lasts, and say where."""
    users, operators = build_application(parts), build_operations(parts)
    parts.stats.know_routes(routes_of(users, operators))
    send_buffer_bytes = parts.limits.send_buffer_bytes
    async with running(users, settings.host, settings.port, send_buffer_bytes) as addresses:
        if settings.metrics_port is None:
            yield Listening(addresses, [])
            return
        async with running(operators, settings.host, settings.metrics_port, send_buffer_bytes) as own_addresses:
            yield Listening(addresses, own_addresses)


async def _probe(server: Server, listening: Listening) -> None:
    """Let the canary in by the door of its own, over the address that users connect to."""
    door = listening.addresses[0] + CANARY_PATH
    await server.canary.run(lambda: open_receiver(door, {CANARY_KEY: server.parts.canary_key}))


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
    await server.upkeep.drain(parts.limits.drain_s)
    await server.upkeep.wait_until_empty(_STRAGGLERS_S)
    await parts.converse.stop(_STRAGGLERS_S)
    _log.info("drained")


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=min(settings.max_connections, usable_descriptors() - _RESERVED_DESCRIPTORS),
        connections_per_user=settings.max_connections_per_user,
        is_one_per_user=settings.connection_policy is ConnectionPolicy.ONE,
        heartbeat_s=settings.heartbeat_s,
    )


def _gauges(
    stores: Stores,
    connections: ConnectionManager,
    processor: NewsProcessor,
    websocket_queue: BroadcastQueue,
    readiness: Readiness,
    limits: Limits,
    clock: Clock,
) -> list[GaugeFamily | GaugeGroup]:
    """Connect every gauge to what it asks at scrape."""
    return [
        *_client_gauges(connections, limits),
        *_store_gauges(stores),
        gauge("news_broadcast_sequence", "Sequence number of the last item broadcast.", lambda: connections.position),
        gauge("news_queue_items", "Items waiting for the broadcaster.", lambda: len(websocket_queue.items())),
        gauge("news_queue_capacity_items", "Bound of the broadcaster's queue.", lambda: websocket_queue.maxsize),
        gauge(
            "news_queue_oldest_age_seconds",
            "Age of the oldest waiting item, 0 when none waits.",
            lambda: websocket_queue.oldest_age_s(clock.wall()),
        ),
        gauge("news_intake_queue_items", "Items of feeds that are not in the log yet.", lambda: processor.waiting),
        gauge("news_event_loop_tasks", "asyncio tasks alive.", lambda: len(asyncio.all_tasks())),
        gauge("news_ready", "1 while /readyz has no objection but the database's.", readiness.is_ready),
        gauge("news_time_seconds", "Unix time by this server's clock.", clock.wall),
    ]


def _client_gauges(connections: ConnectionManager, limits: Limits) -> list[GaugeFamily | GaugeGroup]:
    index = connections.index
    return [
        gauge("news_connections", "Connections open now.", lambda: len(connections)),
        gauge("news_connections_limit", "Most connections at once.", lambda: limits.connections),
        gauge("news_users", "Distinct users with a connection.", lambda: connections.users),
        gauge("news_filter_slots", "Live slots: filters that every item is decided for.", lambda: len(index)),
        gauges("news_subscriptions", "Connections by what their filter is like.", "state", index.kinds),
        gauges("news_filter_index_terms", "Distinct terms in the match index.", "dimension", index.sizes),
        GaugeGroup(BUFFER_GAUGES, connections.buffers),
    ]


def _store_gauges(stores: Stores) -> list[GaugeFamily | GaugeGroup]:
    log = stores.log
    return [
        gauge("news_history_items", "Items in durable history.", lambda: log.head - log.oldest + 1),
        gauge("news_history_oldest_timestamp_seconds", "When the oldest was accepted.", lambda: log.oldest_at),
        gauge("news_history_head_sequence", "Sequence number of the newest item.", lambda: log.head),
        gauge("news_db_pending_operations", "Operations at or before SQLite's threads.", stores.pending_operations),
        gauges("news_db_size_bytes", "Database file sizes.", "file", stores.file_sizes),
    ]
