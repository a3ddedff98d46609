"""The gauges whose values are read from flows and stores at every scrape."""

import asyncio
from functools import partial
from typing import NamedTuple

from app.flows.connections.admission import Admission
from app.flows.connections.manager import ConnectionManager
from app.flows.delivery.broadcast import BroadcastQueue
from app.flows.delivery.live import LiveSet
from app.flows.news.process import NewsProcessor
from app.flows.operations import send_buffers
from app.flows.operations.readiness import ReadinessChecks
from app.ports.clock import Clock
from app.ports.stores import Stores
from app.telemetry.catalogue import SEND_BUFFER_GAUGES
from app.telemetry.families import GaugeFamily, GaugeGroup, gauge, gauges


class Observed(NamedTuple):
    """The objects from which the gauges read their values."""

    stores: Stores
    admission: Admission
    manager: ConnectionManager
    live: LiveSet
    processor: NewsProcessor
    websocket_queue: BroadcastQueue
    readiness: ReadinessChecks
    max_connections: int
    clock: Clock


def gauges_of(observed: Observed) -> list[GaugeFamily | GaugeGroup]:
    """Return every gauge, each with the function that reads its value."""
    return [
        *_connection_gauges(observed),
        *_pipeline_gauges(observed),
        *_store_gauges(observed.stores),
        gauge("news_event_loop_tasks", "asyncio tasks alive.", lambda: len(asyncio.all_tasks())),
        gauge("news_ready", "1 while every check of /readyz but the database's passes.", observed.readiness.is_ready),
        gauge("news_time_seconds", "Unix time by this server's clock.", observed.clock.wall),
    ]


def _connection_gauges(observed: Observed) -> list[GaugeFamily | GaugeGroup]:
    manager, live = observed.manager, observed.live
    index = live.index
    return [
        gauge("news_connections", "Connections open now.", lambda: len(manager)),
        gauge("news_connections_limit", "Maximum number of connections.", lambda: observed.max_connections),
        gauge("news_users", "Distinct users with a connection.", lambda: observed.admission.users),
        gauges(
            "news_connection_phases",
            "Open connections by where they get their items from.",
            "phase",
            partial(send_buffers.count_phases, manager),
        ),
        gauge("news_filter_slots", "Live slots: filters that every item is matched against.", lambda: len(index)),
        gauges("news_subscriptions", "Live slots by the state of their filter.", "state", index.kinds),
        gauges("news_filter_index_terms", "Distinct terms in the filter index.", "dimension", index.sizes),
        GaugeGroup(SEND_BUFFER_GAUGES, partial(send_buffers.measure, manager, live)),
    ]


def _pipeline_gauges(observed: Observed) -> list[GaugeFamily | GaugeGroup]:
    """Return the gauges of raw_news_queue and websocket_queue, and of the seq that was broadcast last."""
    queue, clock = observed.websocket_queue, observed.clock
    return [
        gauge(
            "news_intake_queue_items", "Items of feeds that are not in the log yet.", lambda: observed.processor.waiting
        ),
        gauge("news_queue_items", "Items waiting for the broadcaster.", lambda: len(queue.items())),
        gauge("news_queue_capacity_items", "Capacity of the broadcaster's queue.", lambda: queue.maxsize),
        gauge(
            "news_queue_oldest_age_seconds",
            "Age of the oldest waiting item, 0 if none waits.",
            lambda: queue.oldest_age_s(clock.wall()),
        ),
        gauge(
            "news_broadcast_sequence",
            "Sequence number of the last item broadcast.",
            lambda: observed.live.position,
        ),
    ]


def _store_gauges(stores: Stores) -> list[GaugeFamily | GaugeGroup]:
    log = stores.log
    return [
        gauge("news_history_items", "Items in durable history.", lambda: log.head - log.oldest + 1),
        gauge("news_history_oldest_timestamp_seconds", "When the oldest item was accepted.", lambda: log.oldest_at),
        gauge("news_history_head_sequence", "Sequence number of the newest item.", lambda: log.head),
        gauge("news_storage_writable", "1 while items can be stored.", stores.is_writable),
        gauge(
            "news_db_pending_operations",
            "Operations waiting for or running on a SQLite thread.",
            stores.pending_operations,
        ),
        gauges("news_db_size_bytes", "Database file sizes.", "file", stores.file_sizes),
    ]
