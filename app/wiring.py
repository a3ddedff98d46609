"""The composition root: builds every part and connects them. Read this first; `serve` runs what is built here.

sources ─▶ raw_news_queue ─▶ NewsProcessor ─▶ NewsLog ─▶ follow ─▶ websocket_queue ─▶ WebSocketBroadcaster
               POST /api/v1/news ─▶ ┘                                                        │
                                                    LiveSet ◀── FilterIndex.match ◀──────────┘
                                                       │ the same bytes
                                                       ▼
                   NewsLog ─▶ CatchUp ─▶ SocketLink of every connection that matched
          (clients that resume, are slow or do not acknowledge)
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from aiohttp import __version__ as aiohttp_version

import app
from app.adapters.data.vocabularies import load_sample_wire, load_vocabularies
from app.adapters.http.services import (
    ConnectionServices,
    Context,
    FeedCounts,
    NewsServices,
    OperationServices,
    Services,
)
from app.adapters.http.web.static import StaticPage, load_pages
from app.adapters.http.websocket.send_many import send_many
from app.adapters.sources.html_text import to_text
from app.adapters.sources.rss.config import FeedConfig, read_feeds
from app.adapters.sources.rss.parser_pool import ParserPool
from app.adapters.sources.rss.poller import RssPoller
from app.adapters.sources.sample import SampleWire
from app.adapters.tokens.choice import create_verifier
from app.config import Settings
from app.core.limits import Limits
from app.core.news.enrichment import Enricher, Vocabularies
from app.flows.connections.admission import Admission
from app.flows.connections.channels import ChannelCommands
from app.flows.connections.commands import Commands
from app.flows.connections.connect import Connect
from app.flows.connections.connect_rate import ConnectRateLimiter
from app.flows.connections.dispatcher import MessageDispatcher
from app.flows.connections.explain import Explainer
from app.flows.connections.keepalive import Housekeeping
from app.flows.connections.lifecycle import SessionLifecycle
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.pending_auth import PendingConnections
from app.flows.connections.revocations import Revocations
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.delivery.acks import Acks
from app.flows.delivery.broadcast import BroadcastQueue, WebSocketBroadcaster
from app.flows.delivery.catch_up import CatchUp
from app.flows.delivery.live import LiveSet
from app.flows.delivery.live_delivery import LiveDelivery
from app.flows.delivery.replay_filter import ReplayFilter
from app.flows.delivery.resume import StartResolver
from app.flows.news.history import History
from app.flows.news.intake import FeedIntake
from app.flows.news.process import IncomingItem, NewsProcessor
from app.flows.operations.call_limits import CallLimiter
from app.flows.operations.canary import Canary
from app.flows.operations.canary_handler import CanaryHandler
from app.flows.operations.gauges import Observed, gauges_of
from app.flows.operations.loop_lag import watch_loop_lag
from app.flows.operations.readiness import ReadinessChecks
from app.flows.operations.retention import Retention
from app.flows.operations.shutdown import Shutdown
from app.flows.time_slices import TimeSlices
from app.limit_settings import build_limits
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.ports.stores import Stores
from app.telemetry.exposition import build_registry
from app.telemetry.stats import Stats

_DAY_S = 86_400.0

Worker = Callable[[], Coroutine[None, None, None]]


class Files(NamedTuple):
    """The contents of files that are read once, before the server starts. `feeds` and `sample_wire` are empty if the
    settings ask for none. `pages` maps URL paths to pages.
    """

    vocabularies: Vocabularies
    feeds: Sequence[FeedConfig]
    sample_wire: Sequence[dict[str, object]]
    pages: Mapping[str, StaticPage]


class Pipeline(NamedTuple):
    """The components that move an item from its source to the broadcast. `sample_wire` contains one element, or none if
    the settings do not ask for sample items.
    """

    processor: NewsProcessor
    websocket_queue: BroadcastQueue
    broadcaster: WebSocketBroadcaster
    poller: RssPoller
    sample_wire: Sequence[SampleWire]

    @property
    def workers(self) -> Sequence[Worker]:
        return self.broadcaster.follow, self.broadcaster.run, self.processor.run


class Clients(NamedTuple):
    """The components that accept clients and deliver items to them. `workers` run until the server stops."""

    admission: Admission
    live: LiveSet
    delivery: LiveDelivery
    manager: ConnectionManager
    subscriptions: SubscriptionService
    resolver: StartResolver
    acks: Acks
    catch_up: CatchUp
    explainer: Explainer
    history: History
    connect: Connect
    dispatcher: MessageDispatcher
    housekeeping: Housekeeping

    @property
    def workers(self) -> Sequence[Worker]:
        return self.catch_up.run, self.catch_up.run_sweeps, self.acks.run_flushes, self.housekeeping.run_sweeps


class Server(NamedTuple):
    """All components of a server that was built but not started. `pages` maps URL paths to pages."""

    services: Services
    clients: Clients
    shutdown: Shutdown
    canary: Canary
    poller: RssPoller
    sources: Sequence[RssPoller | SampleWire]
    workers: Sequence[Worker]
    pages: Mapping[str, StaticPage]


def read_files(settings: Settings) -> Files:
    """Read the vocabularies and the browser page. Read feeds.toml and the sample items too, if the settings ask for
    them. Raises InvalidFeedsFile.
    """
    return Files(
        vocabularies=load_vocabularies(),
        feeds=read_feeds(settings.feeds) if settings.feeds else [],
        sample_wire=load_sample_wire() if settings.sample_wire else [],
        pages=load_pages(),
    )


def build(settings: Settings, stores: Stores, files: Files, clock: Clock, stats: Stats) -> Server:
    """Build every component of a server and connect them. Raises InvalidSetting if a key for tokens cannot be used."""
    limits, revocations = build_limits(settings), Revocations(stores.revocations, clock)
    verifier = create_verifier(settings, revocations, clock, stats)
    calls = CallLimiter(limits.requests, clock, stats)
    context = Context(settings, limits, calls, verifier, clock, stats, app.__version__)
    clients = build_clients(stores, verifier, limits, clock, stats)
    pipeline = build_pipeline(context, stores, files, clients.delivery)
    canary_handler = CanaryHandler(clock)
    retention = Retention(stores, clients.live, clock, settings.retention_days * _DAY_S, limits.history.max_items)
    services = Services(
        context,
        _news_services(stores, clients, pipeline),
        _connection_services(context, clients, revocations, canary_handler),
        _operation_services(context, stores, clients, pipeline),
    )
    return Server(
        services=services,
        clients=clients,
        shutdown=Shutdown(
            pipeline.processor,
            pipeline.broadcaster,
            clients.admission,
            clients.live,
            clients.resolver,
            limits.shutdown,
            clock,
        ),
        canary=Canary(pipeline.websocket_queue, canary_handler.send, limits.canary, clock, stats),
        poller=pipeline.poller,
        sources=(pipeline.poller, *pipeline.sample_wire),
        workers=[*pipeline.workers, retention.run, partial(watch_loop_lag, clock, stats), *clients.workers],
        pages=files.pages,
    )


def build_pipeline(context: Context, stores: Stores, files: Files, delivery: LiveDelivery) -> Pipeline:
    """Build the sources of items, and the components that move an item from its source to the broadcast."""
    limits, clock, stats = context.limits, context.clock, context.stats
    raw_news_queue: asyncio.Queue[IncomingItem] = asyncio.Queue(limits.publishing.max_pending_items)
    websocket_queue = BroadcastQueue(limits.broadcast.queue_items)
    enricher = Enricher(files.vocabularies, to_text)
    return Pipeline(
        processor=NewsProcessor(stores.log, raw_news_queue, enricher, limits.publishing, clock, stats),
        websocket_queue=websocket_queue,
        broadcaster=WebSocketBroadcaster(stores.log, websocket_queue, delivery, clock, stats),
        poller=RssPoller(
            files.feeds,
            FeedIntake(stores.log, stores.seen, raw_news_queue, clock),
            stores.seen,
            ParserPool(limits.feeds),
            limits.feeds,
            clock,
            stats,
        ),
        sample_wire=[SampleWire(files.sample_wire, raw_news_queue, clock)] if files.sample_wire else [],
    )


def build_clients(stores: Stores, verifier: Verifier, limits: Limits, clock: Clock, stats: Stats) -> Clients:
    """Build the components that accept clients and deliver items from the log to them."""
    admission = Admission(limits.connections, clock)
    live = LiveSet(limits.delivery, clock, stats, position=stores.log.head)
    delivery = LiveDelivery(live, send_many, limits.delivery, clock, stats)
    manager = ConnectionManager(admission, live, clock, stats)
    subscriptions = SubscriptionService(stores.subscriptions, manager, limits.filters, clock, stats)
    replay_filter, slices = ReplayFilter(), TimeSlices(limits.replays.slice_s, clock)
    resolver = StartResolver(stores.log, replay_filter, slices, limits.replays, clock, stats)
    acks = Acks(stores.cursors, resolver, live, limits.delivery, clock, stats)
    catch_up = CatchUp(stores.log, delivery, replay_filter, slices, limits.replays, clock, stats)
    explainer = Explainer(stores.log, subscriptions, manager, live, slices, clock)
    channels = ChannelCommands(manager, live, subscriptions, resolver, limits.filters)
    commands = Commands(live, channels, acks, explainer, verifier, clock, stats)
    lifecycle = SessionLifecycle(manager, live, resolver, acks, catch_up, limits, clock)
    return Clients(
        admission=admission,
        live=live,
        delivery=delivery,
        manager=manager,
        subscriptions=subscriptions,
        resolver=resolver,
        acks=acks,
        catch_up=catch_up,
        explainer=explainer,
        history=History(stores.log, slices, limits.history),
        connect=Connect(admission, manager, subscriptions, resolver, acks, limits.filters),
        dispatcher=MessageDispatcher(live, lifecycle, commands, catch_up, limits.messages, clock, stats),
        housekeeping=Housekeeping(manager, delivery, resolver, acks, limits, clock),
    )


def _news_services(stores: Stores, clients: Clients, pipeline: Pipeline) -> NewsServices:
    return NewsServices(
        log=stores.log,
        processor=pipeline.processor,
        history=clients.history,
        subscriptions=clients.subscriptions,
        explainer=clients.explainer,
    )


def _operation_services(context: Context, stores: Stores, clients: Clients, pipeline: Pipeline) -> OperationServices:
    limits, clock = context.limits, context.clock
    readiness = ReadinessChecks(stores, clients.admission, clients.live, pipeline.broadcaster, limits.broadcast, clock)
    observed = Observed(
        stores=stores,
        admission=clients.admission,
        manager=clients.manager,
        live=clients.live,
        processor=pipeline.processor,
        websocket_queue=pipeline.websocket_queue,
        readiness=readiness,
        max_connections=limits.connections.max_total,
        clock=clock,
    )
    build = {"version": app.__version__, "revision": context.settings.revision, "aiohttp": aiohttp_version}
    return OperationServices(
        readiness=readiness,
        registry=build_registry(context.stats, gauges_of(observed), build),
        feed_counts=lambda: FeedCounts(pipeline.poller.total, pipeline.poller.active),
        started_at=clock.monotonic(),
    )


def _connection_services(
    context: Context, clients: Clients, revocations: Revocations, canary_handler: CanaryHandler
) -> ConnectionServices:
    limits, clock, stats = context.limits, context.clock, context.stats
    return ConnectionServices(
        connect_rate=ConnectRateLimiter(limits.connections, clock, stats),
        connect=clients.connect,
        pending=PendingConnections(
            context.verifier, clients.connect, clients.dispatcher, limits.auth, limits.messages, clock, stats
        ),
        dispatcher=clients.dispatcher,
        admission=clients.admission,
        manager=clients.manager,
        revocations=revocations,
        canary_handler=canary_handler,
        canary_key=secrets.token_hex(16),
    )
