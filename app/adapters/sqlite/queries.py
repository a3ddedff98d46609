"""Convert a NewsQuery to SQL, and divide long lists of keys. Values are always bound as parameters."""

from collections.abc import Collection, Iterator
from typing import TypeVar

from app.ports.log import NewsQuery

Key = TypeVar("Key")

MAX_KEYS = 500
"""Safely below 999: older versions of SQLite accept at most that many parameters in a query."""


def in_parts(keys: Collection[Key]) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Yield keys in parts that are not too long for one query, each with its placeholders for `IN (…)`."""
    wanted = tuple(keys)
    for start in range(0, len(wanted), MAX_KEYS):
        part = wanted[start : start + MAX_KEYS]
        yield part, ",".join("?" * len(part))


def _symbol(operand: str) -> str:
    """Return a SQL expression that normalizes a ticker: lower case, without leading `$` and `#`. Unlike
    `core.text.words.ticker_key`, it does not remove surrounding spaces.
    """
    return f"ltrim(normalise({operand}), '$#')"


_CONDITIONS: dict[str, str] = {
    "category": "category = ?",
    "min_impact": "impact >= ?",
    "source": "source = ?",
    "ticker": f"EXISTS (SELECT 1 FROM json_each(item, '$.tickers') WHERE {_symbol('value')} = {_symbol('?')})",
    "person": "EXISTS (SELECT 1 FROM json_each(item, '$.people') WHERE instr(normalise(value), normalise(?)))",
    "start_time": "published_at >= ?",
    "end_time": "published_at <= ?",
    "after_seq": "seq > ?",
    "before_seq": "seq < ?",
    "up_to_seq": "seq <= ?",
}
_OLDER_THAN = "(published_at, seq) < (?, ?)"


def conditions(query: NewsQuery) -> tuple[str, tuple[object, ...]]:
    """Return the condition for a WHERE clause, and the parameters for its placeholders. For a query without conditions
    it is `TRUE`, without parameters.
    """
    clauses: list[tuple[str, tuple[object, ...]]] = [
        (sql, (value,)) for name, sql in _CONDITIONS.items() if (value := getattr(query, name)) is not None
    ]
    if query.older_than is not None:
        clauses.append((_OLDER_THAN, query.older_than))
    return " AND ".join(sql for sql, _ in clauses) or "TRUE", tuple(value for _, values in clauses for value in values)


def ordering(query: NewsQuery) -> str:
    by_seq = query.after_seq is not None or query.before_seq is not None
    return "seq DESC" if by_seq else "published_at DESC, seq DESC"
