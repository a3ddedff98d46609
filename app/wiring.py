"""The composition root: builds every part and connects them. Read this first: it is the map.

    sources ─▶ raw_news_queue ─▶ NewsProcessor ─▶ NewsLog ─▶ follow ─▶ websocket_queue ─▶ WebSocketBroadcaster
                   POST /api/v1/news ─▶ ┘                                                        │
                                                  ConnectionManager ◀── FilterIndex.match ◀──────┘
                                                          │ the same bytes
                                                          ▼
                       NewsLog ─▶ CatchUp ─▶ SocketLink of every connection that matched
                    (who resumes, is slow or does not acknowledge)

This file owns how parts are built, started, and stopped in order.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from aiohttp import __version__ as aiohttp_version

import app
from app.adapters.data.html_text import to_text
from app.adapters.data.vocabularies import load_sample_wire, load_vocabularies
from app.adapters.http.application import build_application, build_operations, routes_of
from app.adapters.http.server import running
from app.adapters.http.services import FeedCounts, Parts
from app.adapters.http.web.static import StaticPage, load_pages
from app.adapters.http.websocket.canary_client import open_receiver
from app.adapters.http.websocket.frame_reader import FrameReader
from app.adapters.http.websocket.pending_auth import PendingConnections
from app.adapters.http.websocket.send_many import send_many
from app.adapters.http.websocket.upgrade import CANARY_KEY, CANARY_PATH
from app.adapters.memory.stores import memory_stores
from app.adapters.sources.rss.config import FeedConfig, read_feeds
from app.adapters.sources.rss.poller import RssPoller
from app.adapters.sources.sample import SampleWire
from app.adapters.sqlite.opening import open_database
from app.adapters.sqlite.stores import sqlite_stores
from app.adapters.system.clock import SystemClock
from app.adapters.system.file_descriptors import usable_descriptors
from app.adapters.tokens.choice import create_verifier
from app.config import MEMORY, ConnectionPolicy, Settings
from app.core.limits import Limits
from app.flows.connections.channels import Channels
from app.flows.connections.commands import Commands
from app.flows.connections.connect import Connect
from app.flows.connections.dispatcher import MessageDispatcher
from app.flows.connections.explain import Explainer
from app.flows.connections.keepalive import Housekeeping
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.revocations import Revocations
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.acks import Acks
from app.flows.delivery.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.delivery.catch_up import CatchUp
from app.flows.delivery.replay_filter import ReplayFilter
from app.flows.delivery.resume import StartResolver
from app.flows.news.history import History
from app.flows.news.process import IncomingItem, NewsProcessor, Vocabularies
from app.flows.operations.canary import Canary
from app.flows.operations.canary_handler import CanaryHandler
from app.flows.operations.gauges import Observed, gauges_of
from app.flows.operations.loop_lag import watch_loop_lag
from app.flows.operations.readiness import ReadinessChecks
from app.flows.operations.retention import Retention
from app.flows.operations.shutdown import Shutdown
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.ports.stores import Stores
from app.telemetry.exposition import build_registry
from app.telemetry.stats import Stats

# Descriptors that are not WebSockets: listener, database, feeds, scrapes, REST clients.
_RESERVED_DESCRIPTORS = 256
_REMEMBERED_ITEMS = 2_000
_STRAGGLERS_S = 1.5
_DAY_S = 86_400.0

Worker = Callable[[], Coroutine[None, None, None]]


class Files(NamedTuple):
    """What is read from files once, before anything runs."""

    tables: Vocabularies
    feeds: Sequence[FeedConfig]
    sample_wire: Sequence[dict[str, object]]
    pages: Mapping[str, StaticPage]


class Listening(NamedTuple):
    """Where the server listens: `http://host:port`, and where /metrics has a port of its own, that."""

    addresses: list[str]
    metrics_addresses: list[str]


class Clients(NamedTuple):
    """What stands between the log and the clients."""

    connections: ConnectionManager
    subscriptions: SubscriptionService
    resumption: StartResolver
    acks: Acks
    catch_up: CatchUp
    explain: Explainer
    greeting: Connect
    converse: MessageDispatcher
    upkeep: Housekeeping

    @property
    def workers(self) -> Sequence[Worker]:
        return self.catch_up.run, self.catch_up.run_sweeps, self.acks.run_flushes, self.upkeep.run_sweeps


class Server(NamedTuple):
    """Every part that has a beginning and an end, ready to run."""

    parts: Parts
    clients: Clients
    drain: Shutdown
    canary: Canary
    sources: Sequence[RssPoller | SampleWire]
    workers: Sequence[Worker]


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
        await server.parts.revocations.load()
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
        tables=load_vocabularies(),
        feeds=read_feeds(settings.feeds) if settings.feeds else [],
        sample_wire=load_sample_wire() if settings.sample_wire else [],
        pages=load_pages(),
    )


def build(settings: Settings, stores: Stores, files: Files, clock: Clock, stats: Stats) -> Server:
    """Build every part and connect them; nothing runs yet."""
    limits, revocations = _limits(settings), Revocations(stores.revocations, clock)
    verifier = create_verifier(settings, revocations, clock, stats)
    clients = build_clients(stores, verifier, limits, clock, stats)
    raw_news_queue: asyncio.Queue[IncomingItem] = asyncio.Queue(limits.intake_items)
    websocket_queue = BroadcastQueue(limits.broadcast_queue_items)
    processor = NewsProcessor(stores.log, raw_news_queue, files.tables, to_text, limits, clock, stats)
    broadcaster = WebSocketBroadcaster(stores.log, websocket_queue, clients.connections, clock, stats)
    retention = Retention(stores, clients.connections, clock, settings.retention_days * _DAY_S, limits.history_items)
    poller = RssPoller(files.feeds, raw_news_queue, limits, clock, stats)
    sample_wire = [SampleWire(files.sample_wire, raw_news_queue, clock)] if files.sample_wire else []
    canary_end = CanaryHandler(limits, clock)
    canary = Canary(websocket_queue, canary_end.send, limits, clock, stats)
    readiness = ReadinessChecks(stores, clients.connections, broadcaster, limits, clock)
    observed = Observed(stores, clients.connections, processor, websocket_queue, readiness, limits, clock)
    parts = Parts(
        log=stores.log,
        processor=processor,
        history=History(stores.log, limits.scan_items),
        subscriptions=clients.subscriptions,
        connections=clients.connections,
        greeting=clients.greeting,
        readiness=readiness,
        explain=clients.explain,
        converse=clients.converse,
        frames=FrameReader(limits.message_bytes),
        canary_end=canary_end,
        canary_key=secrets.token_hex(16),
        registry=build_registry(stats, gauges_of(observed), _build_info(settings)),
        stats=stats,
        limits=limits,
        clock=clock,
        pages=files.pages,
        settings=settings,
        verifier=verifier,
        revocations=revocations,
        anteroom=PendingConnections(
            verifier, clients.connections, clients.greeting, clients.converse, limits, clock, stats
        ),
        feed_counts=lambda: FeedCounts(poller.total, poller.active),
        started_at=clock.monotonic(),
        version=app.__version__,
    )
    own = (broadcaster.follow, broadcaster.run, processor.run, retention.run, partial(watch_loop_lag, clock, stats))
    drain = Shutdown(processor, broadcaster, clients.connections, clients.resumption, limits, clock)
    return Server(parts, clients, drain, canary, (poller, *sample_wire), [*own, *clients.workers])


def build_clients(stores: Stores, verifier: Verifier | None, limits: Limits, clock: Clock, stats: Stats) -> Clients:
    """Build what stands between the log and the clients, and what their messages lead to."""
    connections = ConnectionManager(send_many, limits, clock, stats, position=stores.log.head)
    subscriptions = SubscriptionService(stores.subscriptions, connections, limits, clock, stats)
    judge = ReplayFilter(stats)
    resumption = StartResolver(stores.log, judge, limits, clock, stats)
    acks = Acks(stores.cursors, resumption, connections, limits, clock, stats)
    catch_up = CatchUp(stores.log, connections, judge, limits, clock, stats)
    explain = Explainer(stores.log, subscriptions, connections, clock)
    channels = Channels(connections, subscriptions, resumption, limits)
    commands = Commands(connections, channels, acks, explain, verifier, clock, stats)
    greeting = Connect(connections, subscriptions, resumption, acks, limits, clock)
    return Clients(
        connections=connections,
        subscriptions=subscriptions,
        resumption=resumption,
        acks=acks,
        catch_up=catch_up,
        explain=explain,
        greeting=greeting,
        converse=MessageDispatcher(connections, greeting, commands, catch_up, limits, clock, stats),
        upkeep=Housekeeping(connections, resumption, acks, limits, clock),
    )


@asynccontextmanager
async def _open_stores(settings: Settings, stats: Stats) -> AsyncIterator[Stores]:
    if settings.database == MEMORY:
        yield memory_stores()
        return
    async with open_database(settings.database, stats) as database:
        yield await sqlite_stores(database)


@asynccontextmanager
async def _listening(parts: Parts, settings: Settings) -> AsyncIterator[Listening]:
    """Listen while the context lasts, and say where."""
    users, operators = build_application(parts), build_operations(parts)
    parts.stats.know_routes(routes_of(users, operators))
    async with running(users, settings.host, settings.port, parts.limits, parts.stats) as addresses:
        if settings.metrics_port is None:
            yield Listening(addresses, [])
            return
        metrics_port = settings.metrics_port
        async with running(operators, settings.host, metrics_port, parts.limits, parts.stats) as own_addresses:
            yield Listening(addresses, own_addresses)


async def _probe(server: Server, listening: Listening) -> None:
    """Let the canary in by the door of its own, over the address that users connect to."""
    door = listening.addresses[0] + CANARY_PATH
    await server.canary.run(lambda: open_receiver(door, {CANARY_KEY: server.parts.canary_key}))


async def _drain(server: Server, intake: Sequence[asyncio.Task[None]]) -> None:
    """Stop in order; what clients acknowledged last is on the disk before the stores close."""
    server.drain.begin()
    for task in intake:
        task.cancel()
    await server.drain.flush()
    await server.drain.close_all()
    await server.parts.converse.stop(_STRAGGLERS_S)
    await server.clients.acks.flush()


def _build_info(settings: Settings) -> dict[str, str]:
    return {"version": app.__version__, "revision": settings.revision, "aiohttp": aiohttp_version}


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=min(settings.max_connections, usable_descriptors() - _RESERVED_DESCRIPTORS),
        connections_per_user=settings.max_connections_per_user,
        is_one_per_user=settings.connection_policy is ConnectionPolicy.ONE,
        **_address_limits(settings),
        heartbeat_s=settings.heartbeat_s,
        **settings.limits,
    )


def _address_limits(settings: Settings) -> dict[str, Any]:
    """Give the limits of an address that an operator set."""
    rate, most = settings.connect_rate_per_ip, settings.max_connections_per_ip
    rates = {} if rate is None else {"connects_per_address_s": rate, "connect_burst": max(3 * rate, 1.0)}
    return rates | ({} if most is None else {"connections_per_address": most})
