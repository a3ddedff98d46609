"""The exposition: complete from the start, the same for ten users and for many, alive whatever a gauge does."""

from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from app.telemetry.catalogue import COUNTERS, HISTOGRAMS, gauge
from app.telemetry.exposition import build_registry
from app.telemetry.histogram import Example
from app.telemetry.labels import Method
from app.telemetry.stats import Stats
from tests.support.items import raw
from tests.support.server import RunningServer, running

MAX_SERIES = 1_500
HOSTILE = ["a", "A" * 128, "..", "@:-_.", "0"]


async def samples(server: RunningServer) -> dict[str, float]:
    async with server.http.get(f"{server.url}/metrics") as answer:
        text = await answer.text()
    families = text_string_to_metric_families(text)
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in families
        for sample in family.samples
    }


async def test_every_series_is_there_from_the_start_at_zero() -> None:
    async with running() as server:
        found = await samples(server)

    names = [*(f"{counter.name}_total" for counter in COUNTERS), *(f"{one.name}_count" for one in HISTOGRAMS)]
    assert [name for name in names if not any(sample.startswith(name) for sample in found)] == []
    assert found["news_filter_decisions_total[('outcome', 'matched')]"] == 0
    assert found["news_connections_closed_total[('reason', 'slow_consumer')]"] == 0
    assert len(found) < MAX_SERIES


async def test_users_items_and_paths_add_no_series() -> None:
    async with running() as server:
        # The first scrape is itself a request that the second one shows.
        await samples(server)
        before = (await samples(server)).keys()
        for number, user in enumerate(HOSTILE * 20):
            async with connect(f"{server.ws_url}?user_id={user}") as socket:
                await socket.send('{"type":"ping"}')
                await server.publish(raw(number, source_account=f"account {number}", tickers=[f"T{number}"]))
            await server.http.get(f"{server.url}/api/v1/news/{user}")
            await server.http.get(f"{server.url}/api/v1/subscriptions/{user}{number}")
            await server.http.get(f"{server.url}/%ff/{number}")
        after = (await samples(server)).keys()

    assert {name for name in after - before if "news_http_requests" not in name} == set()
    assert len(after) - len(before) <= 2


def test_a_gauge_that_fails_is_counted_and_takes_nothing_with_it() -> None:
    stats = Stats()
    registry = build_registry(
        stats, [gauge("news_broken", "Broken.", lambda: 1 / 0), gauge("news_fine", "F.", lambda: 7)], {}
    )

    text = openmetrics(registry).decode()  # type: ignore[no-untyped-call]

    assert "news_fine 7.0" in text
    assert "news_broken" not in text
    assert stats.scrape_errors == 1


def test_a_slow_delivery_shows_its_trace_as_an_exemplar() -> None:
    stats = Stats()
    stats.know_routes([("/x", Method.GET)])
    stats.delivery.observe(0.2)
    stats.delivery_was_slow(Example({"trace_id": "abc", "item_id": "rss_1"}, 0.2, 1_800_000_000.0))

    text = openmetrics(build_registry(stats, [], {"version": "1"})).decode()  # type: ignore[no-untyped-call]

    [line] = [line for line in text.splitlines() if "# {" in line]
    assert line.startswith('news_delivery_latency_seconds_bucket{le="0.25"} 1.0')
    assert 'trace_id="abc"' in line
