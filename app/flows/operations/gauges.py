"""What is asked at scrape. This file owns every gauge that reads a flow, and where it reads it."""

import asyncio
from functools import partial
from typing import NamedTuple

from app.core.limits import Limits
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.broadcast import BroadcastQueue
from app.flows.news.process import NewsProcessor
from app.flows.operations import send_buffers
from app.flows.operations.readiness import ReadinessChecks
from app.ports.clock import Clock
from app.ports.stores import Stores
from app.telemetry.catalogue import BACKLOG_GAUGES, GaugeFamily, GaugeGroup, gauge, gauges


class Observed(NamedTuple):
    """Whom the gauges ask."""

    stores: Stores
    connections: ConnectionManager
    processor: NewsProcessor
    websocket_queue: BroadcastQueue
    readiness: ReadinessChecks
    limits: Limits
    clock: Clock


def gauges_of(observed: Observed) -> list[GaugeFamily | GaugeGroup]:
    """Connect every gauge to what it asks."""
    return [
        *_of_clients(observed.connections, observed.limits),
        *_of_the_way(observed),
        *_of_the_stores(observed.stores),
        gauge("news_event_loop_tasks", "asyncio tasks alive.", lambda: len(asyncio.all_tasks())),
        gauge("news_ready", "1 while /readyz has no objection but the database's.", observed.readiness.is_ready),
        gauge("news_time_seconds", "Unix time by this server's clock.", observed.clock.wall),
    ]


def _of_clients(connections: ConnectionManager, limits: Limits) -> list[GaugeFamily | GaugeGroup]:
    index = connections.index
    return [
        gauge("news_connections", "Connections open now.", lambda: len(connections)),
        gauge("news_connections_limit", "Most connections at once.", lambda: limits.connections),
        gauge("news_users", "Distinct users with a connection.", lambda: connections.users),
        gauges(
            "news_connection_phases",
            "Open connections by where they get their items from.",
            "phase",
            partial(send_buffers.count_phases, connections),
        ),
        gauge("news_filter_slots", "Live slots: filters that every item is decided for.", lambda: len(index)),
        gauges("news_subscriptions", "Live slots by what their filter is like.", "state", index.kinds),
        gauges("news_filter_index_terms", "Distinct terms in the match index.", "dimension", index.sizes),
        GaugeGroup(BACKLOG_GAUGES, partial(send_buffers.measure, connections)),
    ]


def _of_the_way(observed: Observed) -> list[GaugeFamily | GaugeGroup]:
    """Describe what waits between a source and the clients."""
    queue, clock = observed.websocket_queue, observed.clock
    return [
        gauge(
            "news_intake_queue_items", "Items of feeds that are not in the log yet.", lambda: observed.processor.waiting
        ),
        gauge("news_queue_items", "Items waiting for the broadcaster.", lambda: len(queue.items())),
        gauge("news_queue_capacity_items", "Bound of the broadcaster's queue.", lambda: queue.maxsize),
        gauge(
            "news_queue_oldest_age_seconds",
            "Age of the oldest waiting item, 0 when none waits.",
            lambda: queue.oldest_age_s(clock.wall()),
        ),
        gauge(
            "news_broadcast_sequence",
            "Sequence number of the last item broadcast.",
            lambda: observed.connections.position,
        ),
    ]


def _of_the_stores(stores: Stores) -> list[GaugeFamily | GaugeGroup]:
    log = stores.log
    return [
        gauge("news_history_items", "Items in durable history.", lambda: log.head - log.oldest + 1),
        gauge("news_history_oldest_timestamp_seconds", "When the oldest was accepted.", lambda: log.oldest_at),
        gauge("news_history_head_sequence", "Sequence number of the newest item.", lambda: log.head),
        gauge("news_storage_writable", "1 while items can be stored.", stores.is_writable),
        gauge("news_db_pending_operations", "Operations at or before SQLite's threads.", stores.pending_operations),
        gauges("news_db_size_bytes", "Database file sizes.", "file", stores.file_sizes),
    ]
