"""The items of all measurements: the same for every contestant, 1.1 KB a message.

Each contains the time at which it was published (CLOCK_MONOTONIC, ns), which bench/native/load.c finds.
"""

import time
from typing import Any

import msgspec

CONTENT = (
    "Officials signalled on Wednesday that borrowing costs may stay where they are for longer than markets expect, "
    "pointing to a firm labour market and to prices of services that fall more slowly than was forecast. Yields rose "
    "after the remarks while equity futures gave back what they had gained, and bitcoin slipped below a level that "
    "many had watched before it recovered; analysts at several banks said that the tone of the statement, more than "
    "what it said, moved prices across asset classes during the session."
)
SOURCE, CATEGORY, IMPACT = "rss", "economics", 82.5


def published(number: int) -> dict[str, Any]:
    """Return item `number` as a publisher sends it."""
    return {
        "source": SOURCE,
        "source_account": "Example Wire",
        "title": "Fed chair: we are prepared to hold rates higher for longer if needed",
        "content": f"pub_ns={time.monotonic_ns():020} {CONTENT}",
        "url": f"https://example.com/markets/{number:016}",
        "published_at": 1_732_300_000.123,
        "impact_score": IMPACT,
        "relevance_score": 61.0,
        "tickers": ["BTC", "SPY", "TLT"],
        "people": ["Jerome Powell"],
        "category": CATEGORY,
        "tags": ["fed", "rates", "inflation"],
    }


def message(number: int) -> bytes:
    """Return item `number` as a client gets it, as JSON: the peers get it ready to be sent."""
    extra = {"id": f"rss_{number:016x}", "prediction_markets": [], "is_duplicate": False, "duplicate_of": None}
    data = extra | published(number) | {"is_high_signal": True}
    return msgspec.json.encode({"type": "news_item", "seq": number, "timestamp": 1_732_300_001.5, "data": data})


def filters(user: int) -> dict[str, object]:
    """Return the filter that user `user` stores: no two are equal, and every item matches."""
    others = ("politics", "crypto", "sports", "other")
    return {
        "categories": [CATEGORY, others[user % len(others)]],
        "keywords": ["rates", f"word{user % 997}", f"phrase {user % 89}"],
        "impact_threshold": 30 + user % 50,
        "rss_feeds": ["example wire", f"feed {user % 211}"],
    }


NOTHING = {"categories": ["sports"], "keywords": ["offside"], "impact_threshold": 30}
"""What a bystander stores: no item of ours is wanted."""
