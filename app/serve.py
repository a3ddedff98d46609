"""Run a server from start to shutdown: open the stores, build the components, listen, and drain.

The order matters. The server listens only after it has read the newest items of the log, so that near-duplicates of
them are found. It closes the stores only after the accepted items were broadcast, or a timeout has passed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import NamedTuple

from app.adapters.http.application import build_application, build_operations, routes_of
from app.adapters.http.server import Listener, running
from app.adapters.http.websocket.canary_client import open_receiver
from app.adapters.http.websocket.upgrade import CANARY_KEY, CANARY_PATH
from app.adapters.memory.stores import memory_stores
from app.adapters.sqlite.opening import SampleMismatch, open_database
from app.adapters.sqlite.stores import sqlite_stores
from app.adapters.system.clock import SystemClock
from app.config import Settings
from app.flows.operations.supervision import supervise
from app.options import MEMORY, InvalidSetting, variable
from app.ports.stores import Stores
from app.reload import Reloader
from app.telemetry.stats import Stats
from app.wiring import Server, Worker, build, read_files

# The number of newest stored items that are loaded at the start, so that near-duplicates of them are found.
_REMEMBERED_ITEMS = 2_000
_ANSWERS_TIMEOUT_S = 1.5


class Listening(NamedTuple):
    """The addresses that the server listens on, as `http://host:port`. `addresses` are for users. `metrics_addresses`
    are those of the separate port for /metrics, and are empty if there is none.
    """

    addresses: list[str]
    metrics_addresses: list[str]


async def serve(
    settings: Settings,
    stopping: asyncio.Event,
    started: Callable[[Listening], None],
    stats: Stats,
    reloader: Reloader | None = None,
) -> None:
    """Run the server until `stopping` is set, then shut it down. Call `started` with the server's addresses as soon as
    it listens. The configuration is read again whenever that is requested of `reloader`.

    Raises CorruptStateError, InvalidFeedsFile, InvalidSetting (a key that verifies tokens cannot be used, or the
    database is for sample news and the settings are not, or the other way round), OSError (the database cannot be
    opened, or an address is in use), and ExceptionGroup (a background task failed). If a background task fails, the
    server stops, because its internal state may be corrupt.
    """
    async with _open_stores(settings, stats) as stores:
        files = await asyncio.to_thread(read_files, settings)
        server = build(settings, stores, files, SystemClock(), stats)
        newest = await stores.log.read(max(stores.log.head - _REMEMBERED_ITEMS, 0), _REMEMBERED_ITEMS)
        server.services.news.processor.remember(newest)
        await server.services.connections.revocations.load()
        async with _listening(server) as listening, asyncio.TaskGroup() as tasks:
            works: list[Worker] = [*server.workers, stores.watch, partial(_run_canary, server, listening)]
            if reloader is not None:
                works.append(partial(reloader.run, server.poller))
            workers = [_start(tasks, work, stopping) for work in works]
            intake = [tasks.create_task(source.run()) for source in server.sources]
            started(listening)
            await stopping.wait()
            await _shut_down(server, intake)
            for task in workers:
                task.cancel()


def _start(tasks: asyncio.TaskGroup, work: Worker, stopping: asyncio.Event) -> asyncio.Task[None]:
    """Start a supervised background task, which is named after its function."""
    name = (work.func if isinstance(work, partial) else work).__qualname__
    return tasks.create_task(supervise(name, work, stopping), name=name)


@asynccontextmanager
async def _open_stores(settings: Settings, stats: Stats) -> AsyncIterator[Stores]:
    if settings.database == MEMORY:
        yield memory_stores()
        return
    with explaining_samples(settings):
        async with open_database(settings.database, stats, is_sample=settings.sample_wire) as database:
            yield await sqlite_stores(database)


@contextmanager
def explaining_samples(settings: Settings) -> Iterator[None]:
    """Convert a SampleMismatch to an InvalidSetting that says what the settings must be."""
    try:
        yield
    except SampleMismatch as error:
        must_be = "0" if settings.sample_wire else "1"
        detail = f"{error}: {variable('sample_wire')} must be {must_be} with it, or name another file"
        raise InvalidSetting("database", settings.database, detail) from error


@asynccontextmanager
async def _listening(server: Server) -> AsyncIterator[Listening]:
    """Listen for users, and on the port for /metrics if it is separate, while the context lasts.
    Yield the addresses.
    """
    services, (settings, limits, *_) = server.services, server.services.context
    stats = services.context.stats
    users, operators = build_application(services, server.pages), build_operations(services)
    stats.server.register_routes(routes_of(users, operators))
    async with running(users, Listener(settings.host, settings.port), settings, limits, stats) as addresses:
        if settings.metrics_port is None:
            yield Listening(addresses, [])
            return
        listener = Listener(settings.host, settings.metrics_port, "NEWS_METRICS_PORT")
        async with running(operators, listener, settings, limits, stats) as metrics_addresses:
            yield Listening(addresses, metrics_addresses)


async def _run_canary(server: Server, listening: Listening) -> None:
    """Run the canary, the server's own client. It connects to CANARY_PATH, an endpoint only for the canary, at the
    first of the addresses for users.
    """
    url, key = listening.addresses[0] + CANARY_PATH, server.services.connections.canary_key
    await server.canary.run(lambda: open_receiver(url, {CANARY_KEY: key}))


async def _shut_down(server: Server, intake: Sequence[asyncio.Task[None]]) -> None:
    """Shut down in order: stop the intake, broadcast the accepted items, close the connections, and store the last acks
    before the stores close.
    """
    server.shutdown.begin()
    for task in intake:
        task.cancel()
    await server.shutdown.flush()
    await server.shutdown.close_all()
    await server.clients.dispatcher.stop(_ANSWERS_TIMEOUT_S)
    await server.clients.acks.flush()
