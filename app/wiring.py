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
from app.adapters.clock import SystemClock
from app.adapters.descriptors import usable_descriptors
from app.adapters.feeds.catalogue import Feed, read_catalogue
from app.adapters.feeds.poller import RssPoller
from app.adapters.feeds.sample_wire import SampleWire
from app.adapters.http.anteroom import Anteroom
from app.adapters.http.application import build_application, build_operations, routes_of
from app.adapters.http.frames import Frames
from app.adapters.http.listening import running
from app.adapters.http.pages import Page, load_pages
from app.adapters.http.parts import FeedCounts, Parts
from app.adapters.http.socket import CANARY_KEY, CANARY_PATH
from app.adapters.http.volley import volley
from app.adapters.markup import to_text
from app.adapters.memory.stores import memory_stores
from app.adapters.receiver import open_receiver
from app.adapters.sqlite.opening import open_database
from app.adapters.sqlite.stores import sqlite_stores
from app.adapters.tables import load_sample_wire, load_tables
from app.adapters.tokens.choice import verifier_of
from app.config import MEMORY, ConnectionPolicy, Settings
from app.core.limits import Limits
from app.flows.acks import Acks
from app.flows.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.canary import Canary
from app.flows.canary_end import CanaryEnd
from app.flows.catch_up import CatchUp
from app.flows.channels import Channels
from app.flows.commands import Commands
from app.flows.connections import ConnectionManager
from app.flows.converse import Converse
from app.flows.drain import Drain
from app.flows.explain import Explain
from app.flows.gauges import Observed, gauges_of
from app.flows.greeting import Greeting
from app.flows.history import History
from app.flows.judge import Judge
from app.flows.process import Arrival, NewsProcessor, Tables
from app.flows.readiness import Readiness
from app.flows.resume import Resumption
from app.flows.retention import Retention
from app.flows.revocations import Revocations
from app.flows.subscriptions import Subscriptions
from app.flows.upkeep import Upkeep
from app.flows.vigil import watch_loop
from app.ports import Clock, Stores, Verifier
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

    tables: Tables
    feeds: Sequence[Feed]
    sample_wire: Sequence[dict[str, object]]
    pages: Mapping[str, Page]


class Listening(NamedTuple):
    """Where the server listens: `http://host:port`, and where /metrics has a port of its own, that."""

    addresses: list[str]
    metrics_addresses: list[str]


class Clients(NamedTuple):
    """What stands between the log and the clients."""

    connections: ConnectionManager
    subscriptions: Subscriptions
    resumption: Resumption
    acks: Acks
    catch_up: CatchUp
    explain: Explain
    greeting: Greeting
    converse: Converse
    upkeep: Upkeep

    @property
    def workers(self) -> Sequence[Worker]:
        return self.catch_up.run, self.catch_up.run_sweeps, self.acks.run_flushes, self.upkeep.run_sweeps


class Server(NamedTuple):
    """Every part that has a beginning and an end, ready to run."""

    parts: Parts
    clients: Clients
    drain: Drain
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
        tables=load_tables(),
        feeds=read_catalogue(settings.feeds) if settings.feeds else [],
        sample_wire=load_sample_wire() if settings.sample_wire else [],
        pages=load_pages(),
    )


def build(settings: Settings, stores: Stores, files: Files, clock: Clock, stats: Stats) -> Server:
    """Build every part and connect them; nothing runs yet."""
    limits, revocations = _limits(settings), Revocations(stores.revocations, clock)
    verifier = verifier_of(settings, revocations, clock, stats)
    clients = build_clients(stores, verifier, limits, clock, stats)
    raw_news_queue: asyncio.Queue[Arrival] = asyncio.Queue(limits.intake_items)
    websocket_queue = BroadcastQueue(limits.broadcast_queue_items)
    processor = NewsProcessor(stores.log, raw_news_queue, files.tables, to_text, limits, clock, stats)
    broadcaster = WebSocketBroadcaster(stores.log, websocket_queue, clients.connections, clock, stats)
    retention = Retention(stores, clients.connections, clock, settings.retention_days * _DAY_S, limits.history_items)
    poller = RssPoller(files.feeds, raw_news_queue, limits, clock, stats)
    sample_wire = [SampleWire(files.sample_wire, raw_news_queue, clock)] if files.sample_wire else []
    canary_end = CanaryEnd(limits, clock)
    canary = Canary(websocket_queue, canary_end.send, limits, clock, stats)
    readiness = Readiness(stores, clients.connections, broadcaster, limits, clock)
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
        frames=Frames(limits.message_bytes),
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
        anteroom=Anteroom(verifier, clients.connections, clients.greeting, clients.converse, limits, clock, stats),
        feed_counts=lambda: FeedCounts(poller.total, poller.active),
        started_at=clock.monotonic(),
        version=app.__version__,
    )
    own = (broadcaster.follow, broadcaster.run, processor.run, retention.run, partial(watch_loop, clock, stats))
    drain = Drain(processor, broadcaster, clients.connections, clients.resumption, limits, clock)
    return Server(parts, clients, drain, canary, (poller, *sample_wire), [*own, *clients.workers])


def build_clients(stores: Stores, verifier: Verifier | None, limits: Limits, clock: Clock, stats: Stats) -> Clients:
    """Build what stands between the log and the clients, and what their messages lead to."""
    connections = ConnectionManager(volley, limits, clock, stats, position=stores.log.head)
    subscriptions = Subscriptions(stores.subscriptions, connections, limits, clock, stats)
    judge = Judge(stats)
    resumption = Resumption(stores.log, judge, limits, clock, stats)
    acks = Acks(stores.cursors, resumption, connections, limits, clock, stats)
    catch_up = CatchUp(stores.log, connections, judge, limits, clock, stats)
    explain = Explain(stores.log, subscriptions, connections, clock)
    channels = Channels(connections, subscriptions, resumption, limits)
    commands = Commands(connections, channels, acks, explain, verifier, clock, stats)
    greeting = Greeting(connections, subscriptions, resumption, acks, limits, clock)
    return Clients(
        connections=connections,
        subscriptions=subscriptions,
        resumption=resumption,
        acks=acks,
        catch_up=catch_up,
        explain=explain,
        greeting=greeting,
        converse=Converse(connections, greeting, commands, catch_up, limits, clock, stats),
        upkeep=Upkeep(connections, resumption, acks, limits, clock),
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
    await server.drain.send_out()
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
