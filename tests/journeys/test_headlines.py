"""Real headlines, published through the API: all arrive, each client gets its own, and the categories are right."""

import csv
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REAL_DATA
from tests.support.listeners import all_delivered, check_against_oracle, everything, listening
from tests.support.server import running

WISHES: list[dict[str, object]] = [
    {"impact_threshold": 0},
    {},
    {"impact_threshold": 0, "categories": ["sports"]},
    {"impact_threshold": 40, "categories": ["Economics", "politics"]},
    {"impact_threshold": 0, "nitter_accounts": ["@AP"]},
    {"impact_threshold": 0, "rss_feeds": ["reuters"], "nitter_accounts": ["bbc"]},
    {"impact_threshold": 0, "keywords": ["oil", "oil price*", "interest rate*", "google"]},
    {"impact_threshold": 0, "keywords": ["iraq"], "exclude": {"keywords": ["baghdad", "bomb*"]}},
    {"impact_threshold": 0, "tickers": ["MSFT", "$AAPL"]},
    {"impact_threshold": 30, "people": ["Putin", "Sharon"]},
]
SOURCES = [("rss", "Reuters Business"), ("rss", "BBC News"), ("nitter", "@AP"), ("nitter", "@bbc")]
MEANT = {"sports": "sports", "economics": "business"}


def rows() -> list[dict[str, str]]:
    with (REAL_DATA / "headlines.csv").open(newline="") as file:
        return list(csv.DictReader(file))


NOW = time.time()
ROWS = rows() if REAL_DATA.is_dir() else []


def as_item(number: int, row: dict[str, str]) -> dict[str, Any]:
    source, account = SOURCES[number % len(SOURCES)]
    return {
        "source": source,
        "source_account": account,
        "title": row["title"][:512],
        "content": row["description"] or row["title"],
        "url": f"https://example.com/{number}",
        "published_at": NOW - number,
    }


@pytest.mark.real_data
@pytest.mark.time_limit(120)
async def test_headlines_reach_exactly_the_matching_clients(tmp_path: Path) -> None:
    items = [as_item(number, row) for number, row in enumerate(ROWS)]

    async with running(database=str(tmp_path / "news.db")) as server, listening(server, WISHES) as listeners:
        receipts = await server.publish(*items)
        await all_delivered(server, listeners, len(items))
        await check_against_oracle(server, listeners, len(items))
        stored = await everything(server, len(items))

    assert [receipt["seq"] for receipt in receipts] == list(range(1, len(items) + 1))
    assert all(listener.items for listener in listeners)
    check_categories({item["url"]: item["category"] for item in stored}, items)


def check_categories(found: dict[str, str], items: list[dict[str, Any]]) -> None:
    """Compare the categories with those that people assigned to the headlines."""
    for category, meant in MEANT.items():
        called = [row for row, item in zip(ROWS, items, strict=True) if found[item["url"]] == category]
        right = sum(row["class"] == meant for row in called)
        precision, recall = right / len(called), right / sum(row["class"] == meant for row in ROWS)
        print(f"{category}: precision {precision:.3f}, recall {recall:.3f}, of {len(called)}")  # noqa: T201 - the measurement
        assert precision >= 0.9
