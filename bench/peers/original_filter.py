"""Filtering as the original did it: the loop's body, one row of SQLite against one item."""

import json
from typing import Any


def wants(row: tuple[Any, ...], news: dict[str, Any]) -> bool:
    accounts, feeds, categories, keywords = (json.loads(column) for column in row[1:5])
    text = f"{news['title']} {news['content']}".lower()
    listed = accounts if news["source"] == "nitter" else feeds
    if news["impact_score"] < row[5] or (categories and news["category"] not in categories):
        return False
    if listed and not any(name.lower() in news["source_account"].lower() for name in listed):
        return False
    tickers = [ticker.lower() for ticker in news["tickers"]]
    return not keywords or any(word.lower() in text or word.lower() in tickers for word in keywords)
