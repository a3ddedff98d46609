"""The exposition: complete from the start, the same size for ten users and for many, and robust
against failing gauges.
"""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest as text_format
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from app.telemetry.catalogue import COUNTERS
from app.telemetry.distributions import HISTOGRAMS
from app.telemetry.exposition import build_registry
from app.telemetry.families import gauge, gauges
from app.telemetry.histogram import Example
from app.telemetry.labels import Method
from app.telemetry.process import ProcessMetrics, count_entries
from app.telemetry.rendering import Format, Renderer
from app.telemetry.stats import Stats
from tests.support.crowd import join
from tests.support.dashboards import tool
from tests.support.items import raw
from tests.support.report import note
from tests.support.server import RunningServer, running

MAX_SERIES = 1_500
WAVE = 250
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


async def test_every_series_starts_at_zero() -> None:
    async with running() as server:
        found = await samples(server)

    names = [*(f"{counter.name}_total" for counter in COUNTERS), *(f"{one.name}_count" for one in HISTOGRAMS)]
    assert [name for name in names if not any(sample.startswith(name) for sample in found)] == []
    assert found["news_filter_decisions_total[('outcome', 'matched')]"] == 0
    assert found["news_connections_closed_total[('reason', 'slow_consumer')]"] == 0
    assert len(found) < MAX_SERIES


async def test_users_items_and_paths_add_no_series() -> None:
    async with running() as server:
        # The first scrape is itself a request that the second one counts.
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


async def be_users(server: RunningServer, first: int, end: int) -> None:
    """Act as this many users, some at a time: each connects under a name and with a filter of its own, and leaves."""
    for start in range(first, end, WAVE):
        users = [
            await join(server.ws_url, f"user-{n}", filters=f'{{"keywords":["word{n}"],"impact_threshold":{n % 101}}}')
            for n in range(start, min(start + WAVE, end))
        ]
        await server.publish(raw(start, source_account=f"account {start}", tickers=[f"T{start}"]))
        for user in users:
            user.close()
        while await server.metric("news_connections"):
            await asyncio.sleep(0.01)


@pytest.mark.load
@pytest.mark.time_limit(90)
async def test_series_do_not_grow_with_users() -> None:
    async with running() as server:
        await be_users(server, 0, 10)
        of_ten = (await samples(server)).keys()
        await be_users(server, 10, 10_000)
        of_ten_thousand = (await samples(server)).keys()
        opened = await server.metric("news_connections_opened_total")

    note("series", "10 and 10,000 users", f"{len(of_ten):,} and {len(of_ten_thousand):,} samples a scrape")
    assert opened == 10_000
    assert of_ten_thousand == of_ten
    assert len(of_ten) < MAX_SERIES


@pytest.mark.prometheus
async def test_promtool_accepts_names_helps_and_units() -> None:
    async with running() as server, server.http.get(f"{server.url}/metrics") as answer:
        text = await answer.read()
    pipe = asyncio.subprocess.PIPE
    linter = await asyncio.create_subprocess_exec(
        tool("promtool"), "check", "metrics", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await linter.communicate(text)

    assert said.decode() == ""
    assert linter.returncode == 0


HOSTILE_WORDS = st.text(alphabet=st.characters(codec="utf-8")) | st.sampled_from(['"', "\\", "\n", '\\"\n'])
NUMBERS = st.floats() | st.integers(0, 10**12).map(float)


@given(st.dictionaries(HOSTILE_WORDS, NUMBERS, max_size=5), HOSTILE_WORDS, NUMBERS, st.floats(0, 2e9))
def test_rendering_equals_prometheus_client(values: dict[str, float], text: str, seen: float, at: float) -> None:
    stats = Stats()
    stats.server.register_routes([("/x", Method.GET)])
    stats.broadcast.delivery.observe(0.2)
    stats.broadcast.record_slow_delivery(Example({"item_id": text}, seen, at))
    family = gauges("news_words", text, "word", lambda: values)
    registry = build_registry(stats, [family], {"version": text})
    registry.unregister(next(one for one in registry._collector_to_names if isinstance(one, ProcessMetrics)))
    stats.server.scrape_s = 0.0
    renderer = Renderer()

    for form, reference in ((Format.TEXT, text_format), (Format.OPENMETRICS, openmetrics)):
        ours, theirs = renderer.render(registry, form), reference(registry)
        assert without_time(ours) == without_time(theirs)


def without_time(exposition: bytes) -> list[bytes]:
    """Remove what differs from one scrape to the next."""
    changing = (b"news_scrape_duration_seconds ", b"python_gc_")
    return [line for line in exposition.splitlines() if not line.startswith(changing)]


def test_failing_gauge_is_counted_and_isolated() -> None:
    stats = Stats()
    registry = build_registry(
        stats, [gauge("news_broken", "Broken.", lambda: 1 / 0), gauge("news_fine", "F.", lambda: 7)], {}
    )

    text = openmetrics(registry).decode()  # type: ignore[no-untyped-call]

    assert "news_fine 7.0" in text
    assert "news_broken" not in text
    assert stats.server.scrape_errors == 1


def test_unreadable_process_metrics_are_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = Stats()
    registry = build_registry(stats, [], {})

    def no_descriptor_left(_path: Path) -> str:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "read_text", no_descriptor_left)
    text = Renderer().render(registry, Format.TEXT).decode()

    assert "process_cpu_seconds_total" in text
    assert "process_open_fds" not in text
    assert "news_sends_total" in text
    assert stats.server.scrape_errors == 1


def test_descriptor_count_works_on_older_kernels() -> None:
    threads = Path("/proc/self/task")

    assert threads.stat().st_size == 0
    assert count_entries(threads) == len(list(threads.iterdir())) > 0


async def test_name_parameter_selects_metrics() -> None:
    async with running() as server, server.http.get(f"{server.url}/metrics?name[]=news_ready") as answer:
        text = await answer.text()

    assert [line for line in text.splitlines() if not line.startswith("#")] == ["news_ready 1.0"]


def test_slow_delivery_has_an_exemplar() -> None:
    stats = Stats()
    stats.server.register_routes([("/x", Method.GET)])
    stats.broadcast.delivery.observe(0.2)
    stats.broadcast.record_slow_delivery(Example({"trace_id": "abc", "item_id": "rss_1"}, 0.2, 1_800_000_000.0))

    text = openmetrics(build_registry(stats, [], {"version": "1"})).decode()  # type: ignore[no-untyped-call]

    [line] = [line for line in text.splitlines() if "# {" in line]
    assert line.startswith('news_delivery_latency_seconds_bucket{le="0.25"} 1.0')
    assert 'trace_id="abc"' in line
