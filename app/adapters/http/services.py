"""The services that HTTP handlers use. They are stored in the aiohttp application under typed keys (`web.AppKey`)."""

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
from app.flows.operations.call_limits import CallLimiter
from app.flows.operations.canary_handler import CanaryHandler
from app.flows.operations.readiness import ReadinessChecks
from app.ports.auth import Verifier
from app.ports.clock import Clock
from app.ports.log import NewsLog
from app.telemetry.stats import Stats


class FeedCounts(NamedTuple):
    """The numbers of configured RSS feeds: `total` counts all of them, `active` leaves out those whose last fetch
    failed. A feed that was not fetched yet counts as active.
    """

    total: int
    active: int


class Context(NamedTuple):
    """The settings and general services that every handler may need. `calls` limits REST calls, and `version` is the
    version of this server.
    """

    settings: Settings
    limits: Limits
    calls: CallLimiter
    verifier: Verifier
    clock: Clock
    stats: Stats
    version: str


class NewsServices(NamedTuple):
    """The services for news items: the log, publishing, queries, stored filters and explanations."""

    log: NewsLog
    processor: NewsProcessor
    history: History
    subscriptions: SubscriptionService
    explainer: Explainer


class ConnectionServices(NamedTuple):
    """The services for upgrades and open WebSockets. `canary_key` is the secret by which the server recognizes the
    connection of its own canary.
    """

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
    """The services for health checks, statistics and metrics. `started_at` is when the server was built, in seconds of
    the monotonic clock; the uptime is counted from then.
    """

    readiness: ReadinessChecks
    registry: CollectorRegistry
    feed_counts: Callable[[], FeedCounts]
    started_at: float


class Services(NamedTuple):
    """All services of the HTTP handlers, in groups. `app/wiring.py` builds them."""

    context: Context
    news: NewsServices
    connections: ConnectionServices
    operations: OperationServices


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
NEWS: web.AppKey[NewsServices] = web.AppKey("news", NewsServices)
CONNECTIONS: web.AppKey[ConnectionServices] = web.AppKey("connections", ConnectionServices)
OPERATIONS: web.AppKey[OperationServices] = web.AppKey("operations", OperationServices)


def add_services(app: web.Application, services: Services) -> None:
    """Store the services in an application. A handler reads one group by its key, for example `request.app[NEWS]`."""
    app[CONTEXT] = services.context
    app[NEWS] = services.news
    app[CONNECTIONS] = services.connections
    app[OPERATIONS] = services.operations
