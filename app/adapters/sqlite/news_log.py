"""NewsLog on SQLite, with group commit and with the newest items in memory.

Appends that arrive while one commit is being written to disk share the next commit (group commit). No append waits for
a timer. There is only one writer, and it assigns seqs inside the transaction. So seqs have no gaps and follow the order
of the commits. A reader sees an item only after its commit.

A row that cannot be decoded is logged, counted and skipped. Seqs have no gaps, so a reader notices that it is missing.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import aiosqlite
import msgspec
import structlog

from app.adapters.sqlite.commit_batch import CommitBatch
from app.adapters.sqlite.database import Database, Row
from app.adapters.sqlite.faults import fault_of
from app.adapters.sqlite.queries import conditions, in_parts, ordering
from app.core.errors import CorruptStateError, ServerError
from app.core.news.item import NewsItem
from app.ports.log import Appended, Entry, NewsQuery, NewsTotals, Record
from app.telemetry.labels import Fault, Operation

TAIL_ITEMS = 2_048
FOLLOW_ITEMS = 256

# As a BLOB, because sqlite3 refuses the whole result if one TEXT is not UTF-8.
_COLUMNS = "seq, accepted_at, CAST(item AS BLOB)"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(NewsItem).decode

_log = structlog.get_logger("news_log")


class _Row(NamedTuple):
    record: Record
    url_key: str


class SqliteNewsLog:
    """The log in a SQLite file. Open it with `open_log`."""

    def __init__(self, database: Database, epoch: str, oldest: int, oldest_at: float, head: int) -> None:
        self._database = database
        self._epoch = epoch
        self._oldest = oldest
        self._oldest_at = oldest_at
        self._head = head
        self._tail: deque[Record] = deque(maxlen=TAIL_ITEMS)
        self._waiting = CommitBatch()
        self._grown = asyncio.Event()

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def head(self) -> int:
        return self._head

    @property
    def oldest(self) -> int:
        return self._oldest

    @property
    def oldest_at(self) -> float:
        return self._oldest_at

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        batch = self._waiting
        answer = batch.add(entries)
        if batch.commit is None:
            batch.commit = asyncio.create_task(self._commit(batch), name="news-log-commit")
        return await answer

    async def read(self, after: int, limit: int) -> list[Record]:
        if self._tail and after + 1 >= self._tail[0].seq:
            return list(islice(self._tail, after + 1 - self._tail[0].seq, after + 1 - self._tail[0].seq + limit))
        end = after
        records: list[Record] = []
        # An empty page means that nothing follows. So if none of its rows can be read, the next ones are.
        while not records and end < self._head:
            rows, end = await self._rows(end, limit)
            records = self._records(rows)
        return records

    async def follow(self, after: int) -> AsyncIterator[Sequence[Record]]:
        while True:
            while self._head <= after:
                self._grown.clear()
                await self._grown.wait()
            head = self._head
            records = await self.read(after, FOLLOW_ITEMS)
            # If no item up to the head can be read, the next item that is stored will show that they are missing.
            after = records[-1].seq if records else head
            if records:
                yield records

    async def by_id(self, item_id: str) -> Record | None:
        rows = await self._database.read(
            Operation.READ_HISTORY, f"SELECT {_COLUMNS} FROM news_log WHERE id = ?", (item_id,)
        )
        return next(iter(self._records(rows)), None)

    async def accepted_links(self, url_keys: Collection[str]) -> dict[str, float]:
        found: dict[str, float] = {}
        for part, marks in in_parts(url_keys):
            sql = f"SELECT url_key, accepted_at FROM news_log WHERE url_key IN ({marks})"
            found.update(await self._database.read(Operation.READ_HISTORY, sql, part))
        return found

    async def select(self, query: NewsQuery) -> list[Record]:
        where, values = conditions(query)
        rows = await self._database.search(
            Operation.QUERY_HISTORY,
            f"SELECT {_COLUMNS} FROM news_log WHERE {where} ORDER BY {ordering(query)} LIMIT ? OFFSET ?",
            (*values, query.limit, query.offset),
        )
        records = self._records(rows)
        missing = len(rows) - len(records)
        if missing and len(rows) == query.limit:
            # A short page means that it is the last one, so the rows that were skipped are replaced by the next ones.
            records += await self.select(query._replace(limit=missing, offset=query.offset + len(rows)))
        return records

    async def count(self, query: NewsQuery) -> int:
        where, values = conditions(query)
        [(total,)] = await self._database.search(
            Operation.QUERY_HISTORY, f"SELECT count(*) FROM news_log WHERE {where}", values
        )
        return int(total)

    async def totals(self, since: float) -> NewsTotals:
        sql = "SELECT count(*), count(*) FILTER (WHERE published_at > ?), coalesce(avg(impact), 0) FROM news_log"
        [totals] = await self._database.search(Operation.QUERY_HISTORY, sql, (since,))
        return NewsTotals(*totals)

    async def prune(self, accepted_before: float, keep_items: int, limit: int) -> int:
        # Only the oldest items are deleted, so that every seq from `oldest` to `head` is stored. The newest item is
        # kept, because `head` is read from it at the next start.
        end = min(self._oldest + limit, self._head)
        too_many_below = self._head - keep_items + 1

        async def drop(connection: aiosqlite.Connection) -> tuple[int, float]:
            sql = "SELECT coalesce(min(seq), ?) FROM news_log WHERE seq < ? AND seq >= ? AND accepted_at >= ?"
            [(first_kept,)] = await connection.execute_fetchall(sql, (end, end, too_many_below, accepted_before))
            await connection.execute("DELETE FROM news_log WHERE seq < ?", (first_kept,))
            oldest = "SELECT accepted_at FROM news_log WHERE seq = ?"
            [(accepted_at,)] = await connection.execute_fetchall(oldest, (first_kept,))
            return first_kept, accepted_at

        if self._oldest >= end:
            return 0
        before = self._oldest
        self._oldest, self._oldest_at = await self._database.write(Operation.PURGE_HISTORY, drop)
        while self._tail and self._tail[0].seq < self._oldest:
            self._tail.popleft()
        return self._oldest - before

    async def _rows(self, after: int, limit: int) -> tuple[list[Row], int]:
        """Return up to `limit` rows after a seq, and the seq up to which every row that can be read was returned."""
        sql = f"SELECT {_COLUMNS} FROM news_log WHERE seq"
        first, head = max(after + 1, self._oldest), self._head
        try:
            rows = await self._database.read(Operation.READ_HISTORY, f"{sql} >= ? ORDER BY seq LIMIT ?", (first, limit))
        except ServerError as error:
            if fault_of(error.__cause__ or error) is not Fault.CORRUPT:
                raise
            # One damaged page of the file makes the whole query fail.
            end = min(first + limit - 1, head)
            rows = await self._database.read_each(f"{sql} = ?", range(first, end + 1))
            unreadable = end - first + 1 - len(rows)
            _log.error("log_rows_unreadable", first_sequence=first, last_sequence=end, rows=unreadable)
            self._database.stats.server.record_skipped_rows(unreadable)
            return rows, end
        return rows, rows[-1][0] if rows else head

    def _records(self, rows: Iterable[Row]) -> list[Record]:
        """Return the items of these rows, without those that cannot be decoded."""
        records = []
        for seq, accepted_at, item_json in rows:
            try:
                records.append(Record(seq, accepted_at, _decode(item_json), item_json))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                _log.error("log_row_unreadable", sequence=seq, error=str(error))
                self._database.stats.server.record_skipped_rows(1)
        return records

    async def _commit(self, batch: CommitBatch) -> None:
        fresh: list[_Row] = []
        results: list[Appended] = []

        async def store(connection: aiosqlite.Connection) -> None:
            # From here on the batch is closed: later appends go into the next commit.
            self._waiting = CommitBatch()
            results.extend(_number(batch.entries, await _known(connection, batch.entries), self._head, fresh))
            await connection.executemany("INSERT INTO news_log VALUES (?,?,?,?,?,?,?,?,?)", map(_columns, fresh))

        def publish() -> None:
            # Publishers are answered first, so that they can send their next items while these are broadcast to
            # thousands of clients.
            batch.answer(results)
            self._publish(fresh)

        try:
            await self._database.write(Operation.APPEND_HISTORY, store, committed=publish)
        # Every caller of this commit gets the error, whatever type the error has.
        except Exception as error:  # noqa: BLE001
            batch.fail(error)
        finally:
            # If the transaction could not start, `store` did not run, and the failed batch must be replaced here.
            if self._waiting is batch:
                self._waiting = CommitBatch()

    def _publish(self, rows: list[_Row]) -> None:
        self._tail.extend(row.record for row in rows)
        if not self._head and rows:
            self._oldest_at = rows[0].record.accepted_at
        self._head += len(rows)
        self._database.mark.head = self._head
        self._grown.set()


async def open_log(database: Database) -> SqliteNewsLog:
    """Open the log of a database, and read the log's epoch and its oldest and newest seq. Raises CorruptStateError if
    they cannot be read.
    """
    try:
        return await _open(database)
    except ServerError as error:
        detail = f"{database.path}: the news log cannot be read: restore the file from a backup"
        raise CorruptStateError(detail) from error


async def _open(database: Database) -> SqliteNewsLog:
    [(epoch,)] = await database.read(Operation.READ_HISTORY, "SELECT epoch FROM log_identity")
    sql = "SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM news_log"
    [(oldest, head)] = await database.read(Operation.READ_HISTORY, sql)
    rows = await database.read(Operation.READ_HISTORY, "SELECT accepted_at FROM news_log WHERE seq = ?", (oldest,))
    return SqliteNewsLog(database, epoch, oldest, rows[0][0] if rows else 0.0, head)


async def _known(connection: aiosqlite.Connection, entries: list[Entry]) -> dict[str, Appended]:
    """Find the stored items that have the id or the link of one of the entries. Return a dictionary in which each of
    them, as an `Appended` marked as a duplicate, has two keys: one made from its id by `_by_id`, and one made from its
    link by `_by_url`.
    """
    ids = [entry.item.id for entry in entries]
    url_keys = [entry.url_key for entry in entries]
    marks = ",".join("?" * len(entries))
    sql = (
        f"SELECT id, url_key, seq FROM news_log WHERE id IN ({marks})"
        f" UNION SELECT id, url_key, seq FROM news_log WHERE url_key IN ({marks})"
    )
    stored = await connection.execute_fetchall(sql, (*ids, *url_keys))
    return {
        key: Appended(row[0], row[2], is_duplicate=True) for row in stored for key in (_by_id(row[0]), _by_url(row[1]))
    }


def _number(entries: list[Entry], known: dict[str, Appended], head: int, fresh: list[_Row]) -> list[Appended]:
    """Assign seqs to new entries, and return a result for each entry. The result for a duplicate has the id and seq of
    the item that was stored first.

    Each new entry is appended to `fresh`, from which the caller stores it. It is also added to `known`, so that a
    duplicate within the same batch is found.
    """
    results = []
    for item, url_key, accepted_at, trace_id in entries:
        first = known.get(_by_id(item.id)) or known.get(_by_url(url_key))
        if first is None:
            seq = head + len(fresh) + 1
            fresh.append(_Row(Record(seq, accepted_at, item, _encode(item), trace_id), url_key))
            first = Appended(item.id, seq, is_duplicate=True)
            known[_by_id(item.id)] = known[_by_url(url_key)] = first
            results.append(first._replace(is_duplicate=False))
        else:
            results.append(first)
    return results


def _by_id(item_id: str) -> str:
    return f"id {item_id}"


def _by_url(url_key: str) -> str:
    return f"url {url_key}"


def _columns(row: _Row) -> tuple[object, ...]:
    seq, accepted_at, item, item_json, _trace_id = row.record
    return (
        *(seq, item.id, row.url_key, accepted_at, item.published_at),
        *(item.source, item.category, item.impact_score, item_json.decode()),
    )
