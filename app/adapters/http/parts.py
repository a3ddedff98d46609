"""What the handlers are given. This file owns the one AppKey."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry

from app.adapters.http.anteroom import Anteroom
from app.adapters.http.frames import Frames
from app.adapters.http.pages import Page
from app.config import Settings
from app.core.limits import Limits
from app.flows.canary_end import CanaryEnd
from app.flows.connections import ConnectionManager
from app.flows.converse import Converse
from app.flows.explain import Explain
from app.flows.greeting import Greeting
from app.flows.history import History
from app.flows.process import NewsProcessor
from app.flows.readiness import Readiness
from app.flows.revocations import Revocations
from app.flows.subscriptions import Subscriptions
from app.ports import Clock, NewsLog, Verifier
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
    subscriptions: Subscriptions
    explain: Explain
    connections: ConnectionManager
    greeting: Greeting
    readiness: Readiness
    converse: Converse
    frames: Frames
    canary_end: CanaryEnd
    canary_key: str
    registry: CollectorRegistry
    stats: Stats
    limits: Limits
    clock: Clock
    pages: Mapping[str, Page]
    settings: Settings
    verifier: Verifier | None
    anteroom: Anteroom
    revocations: Revocations
    feed_counts: Callable[[], FeedCounts]
    started_at: float
    version: str


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)
