"""What the handlers are given. This file owns the one AppKey."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from app.adapters.http.web.static import StaticPage
from app.adapters.http.websocket.frame_reader import FrameReader
from app.adapters.http.websocket.pending_auth import PendingConnections
from app.config import Settings
from app.core.limits import Limits
from app.flows.connections.connect import Connect
from app.flows.connections.dispatcher import MessageDispatcher
from app.flows.connections.explain import Explainer
from app.flows.connections.manager import ConnectionManager
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


class Parts(NamedTuple):
    """The flows and what is around them, as `wiring` built them."""

    log: NewsLog
    processor: NewsProcessor
    history: History
    subscriptions: SubscriptionService
    explain: Explainer
    connections: ConnectionManager
    greeting: Connect
    readiness: ReadinessChecks
    converse: MessageDispatcher
    frames: FrameReader
    canary_end: CanaryHandler
    canary_key: str
    registry: CollectorRegistry
    stats: Stats
    limits: Limits
    clock: Clock
    pages: Mapping[str, StaticPage]
    settings: Settings
    verifier: Verifier | None
    anteroom: PendingConnections
    revocations: Revocations
    feed_counts: Callable[[], FeedCounts]
    started_at: float
    version: str


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)
