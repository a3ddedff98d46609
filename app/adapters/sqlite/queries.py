"""A NewsQuery as SQL. This file owns which column each condition means; values are always parameters."""

from app.ports import NewsQuery

_CONDITIONS: dict[str, str] = {
    "category": "category = ?",
    "min_impact": "impact >= ?",
    "source": "source = ?",
    "ticker": "EXISTS (SELECT 1 FROM json_each(item, '$.tickers') WHERE lower(value) = lower(?))",
    "person": "EXISTS (SELECT 1 FROM json_each(item, '$.people') WHERE instr(lower(value), lower(?)))",
    "start_time": "published_at >= ?",
    "end_time": "published_at <= ?",
    "after_seq": "seq > ?",
    "before_seq": "seq < ?",
}


def conditions(query: NewsQuery) -> tuple[str, tuple[object, ...]]:
    """Give the WHERE clause and its parameters."""
    asked = [(sql, value) for name, sql in _CONDITIONS.items() if (value := getattr(query, name)) is not None]
    return " AND ".join(sql for sql, _ in asked) or "TRUE", tuple(value for _, value in asked)


def ordering(query: NewsQuery) -> str:
    by_seq = query.after_seq is not None or query.before_seq is not None
    return "seq DESC" if by_seq else "published_at DESC, seq DESC"
