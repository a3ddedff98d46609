"""What the handlers need, as typed AppKeys."""

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from app.config import Settings
from app.core.limits import Limits
from app.flows.connections.admission import Admission
from app.flows.connections.connect import Connect
from app.flows.connections.connect_rate import ConnectRateLimiter
from app.flows.connections.dispatcher import MessageDispatcher
from app.flows.connections.explain import Explainer
from app.flows.connections.manager import ConnectionManager
from app.flows.connections.pending_auth import PendingConnections
from app.flows.connections.revocations import Revocations
from app.flows.connections.subscriptions import SubscriptionService
from app.flows.news.history import History
from app.flows.news.process import NewsProcessor
from app.flows.operations.canary_handler import CanaryHandler
from app.flows.operations.readiness import ReadinessChecks
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.ports.log import NewsLog
from app.telemetry.stats import Stats


class FeedCounts(NamedTuple):
    """How many feeds there are, and how many of them could be read lately."""

    total: int
    active: int


class Context(NamedTuple):
    """What every handler may need."""

    settings: Settings
    limits: Limits
    verifier: Verifier
    clock: Clock
    stats: Stats
    version: str


class NewsServices(NamedTuple):
    """Publishing, reading back, stored filters and explanations."""

    log: NewsLog
    processor: NewsProcessor
    history: History
    subscriptions: SubscriptionService
    explainer: Explainer


class ConnectionServices(NamedTuple):
    """Upgrades, and the connections that come of them."""

    connect_rate: ConnectRateLimiter
    connect: Connect
    pending: PendingConnections
    dispatcher: MessageDispatcher
    admission: Admission
    manager: ConnectionManager
    revocations: Revocations
    canary_handler: CanaryHandler
    canary_key: str


class OperationServices(NamedTuple):
    """Health, statistics and metrics."""

    readiness: ReadinessChecks
    registry: CollectorRegistry
    feed_counts: Callable[[], FeedCounts]
    started_at: float


class Services(NamedTuple):
    """All of them, as `wiring` builds them."""

    context: Context
    news: NewsServices
    connections: ConnectionServices
    operations: OperationServices


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
NEWS: web.AppKey[NewsServices] = web.AppKey("news", NewsServices)
CONNECTIONS: web.AppKey[ConnectionServices] = web.AppKey("connections", ConnectionServices)
OPERATIONS: web.AppKey[OperationServices] = web.AppKey("operations", OperationServices)


def add_services(app: web.Application, services: Services) -> None:
    """Make the services available to an application's handlers."""
    app[CONTEXT] = services.context
    app[NEWS] = services.news
    app[CONNECTIONS] = services.connections
    app[OPERATIONS] = services.operations
