"""SubscriptionStore on SQLite, in a table of the original (the FastAPI service that this one replaces) and in two new
tables.

The filter of channel `default` is the user's row in `user_subscriptions`, in exactly the format of the original: a list
is a JSON array, and an empty text or NULL is an empty list. Filter keys that the original does not have are in
`subscription_extras`, and named channels are in `subscription_channels`.

The lists of channel `default` are read without a check against today's limits, so that a filter that was accepted once
continues to work. The `exclude` of channel `default` and the filter of a named channel are checked, because they are
decoded as `Exclude` and `Filter`. If one of them exceeds a limit, the subscription cannot be read.
"""

from collections.abc import Sequence

import aiosqlite
import msgspec

from app.adapters.sqlite.batch_loader import BatchLoader
from app.adapters.sqlite.database import Database, Row
from app.core.filters.filter import (
    DEFAULT_CHANNEL,
    DEFAULT_THRESHOLD,
    NO_EXCLUSIONS,
    Exclude,
    Filter,
    Subscription,
    normalize_filter,
)
from app.ports.stores import CorruptSubscriptionError
from app.telemetry.labels import Operation

_encode = msgspec.json.Encoder().encode

_SELECT_DEFAULT = """
    SELECT s.user_id, nitter_accounts, rss_feeds, categories, keywords, impact_threshold, alert_channels,
           created_at, updated_at, extras
    FROM user_subscriptions AS s LEFT JOIN subscription_extras USING (user_id) WHERE s.user_id IN
"""
_SELECT_CHANNEL = """
    SELECT user_id, channel, filter, alert_channels, created_at, updated_at FROM subscription_channels WHERE user_id = ?
"""
_UPSERT_DEFAULT = """
    INSERT INTO user_subscriptions VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (user_id) DO UPDATE SET
        nitter_accounts = excluded.nitter_accounts, rss_feeds = excluded.rss_feeds, categories = excluded.categories,
        keywords = excluded.keywords, impact_threshold = excluded.impact_threshold,
        alert_channels = excluded.alert_channels, updated_at = excluded.updated_at
    RETURNING created_at
"""
_UPSERT_CHANNEL = """
    INSERT INTO subscription_channels VALUES (?,?,?,?,?,?) ON CONFLICT (user_id, channel) DO UPDATE SET
        filter = excluded.filter, alert_channels = excluded.alert_channels, updated_at = excluded.updated_at
    RETURNING created_at
"""

_DELETE_CHANNELS = "DELETE FROM subscription_channels WHERE user_id = ?1 AND (?2 IS NULL OR channel = ?2)"


class _Extras(msgspec.Struct, frozen=True, omit_defaults=True):
    """The filter keys that have no column in the original's table `user_subscriptions`."""

    tickers: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    exclude: Exclude = NO_EXCLUSIONS
    sources_strict: bool = False


class SqliteSubscriptionStore:
    """Subscriptions in a SQLite file. Concurrent look-ups of channel `default` share a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._defaults = BatchLoader(self._find_defaults)
        # Counted once, because counting a million rows takes a tenth of a second, and then kept up to date.
        self._users: int | None = None

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        if channel == DEFAULT_CHANNEL:
            row = await self._defaults.get(user_id)
            return _default_of(row) if row is not None else None
        rows = await self._database.read(
            Operation.LOAD_SUBSCRIPTION, f"{_SELECT_CHANNEL} AND channel = ?", (user_id, channel)
        )
        return _channel_of(rows[0]) if rows else None

    async def _find_defaults(self, user_ids: Sequence[str]) -> dict[str, Row]:
        marks = ",".join("?" * len(user_ids))
        rows = await self._database.read(Operation.LOAD_SUBSCRIPTION, f"{_SELECT_DEFAULT} ({marks})", tuple(user_ids))
        return {row[0]: row for row in rows}

    async def save(self, subscription: Subscription) -> Subscription:
        save = _save_default if subscription.channel == DEFAULT_CHANNEL else _save_channel
        created_at = await self._database.write(
            Operation.SAVE_SUBSCRIPTION, lambda connection: save(connection, subscription)
        )
        is_new = created_at == subscription.created_at == subscription.updated_at
        if self._users is not None and is_new and subscription.channel == DEFAULT_CHANNEL:
            self._users += 1
        return subscription._replace(created_at=created_at)

    async def count_channels(self, user_id: str) -> int:
        sql = "SELECT count(*) FROM subscription_channels WHERE user_id = ?"
        [(count,)] = await self._database.read(Operation.LOAD_SUBSCRIPTION, sql, (user_id,))
        return int(count)

    async def count_users(self) -> int:
        if self._users is None:
            sql = "SELECT count(*) FROM user_subscriptions"
            [(self._users,)] = await self._database.read(Operation.LOAD_SUBSCRIPTION, sql)
        return self._users

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        async def forget(connection: aiosqlite.Connection) -> bool:
            dropped = 0
            if channel in (None, DEFAULT_CHANNEL):
                for table in ("user_subscriptions", "subscription_extras"):
                    dropped += (await connection.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,))).rowcount
            dropped += (await connection.execute(_DELETE_CHANNELS, (user_id, channel))).rowcount
            return dropped > 0

        is_deleted = await self._database.write(Operation.DELETE_SUBSCRIPTION, forget)
        if channel in (None, DEFAULT_CHANNEL):
            # It is not known whether the user had a row for channel `default`: count again when the number is needed.
            self._users = None
        return is_deleted


async def _save_default(connection: aiosqlite.Connection, subscription: Subscription) -> float:
    news_filter = subscription.filter
    extras = _Extras(news_filter.tickers, news_filter.people, news_filter.exclude, news_filter.sources_strict)
    row = (
        subscription.user_id,
        *(
            _text(names)
            for names in (
                news_filter.nitter_accounts,
                news_filter.rss_feeds,
                news_filter.categories,
                news_filter.keywords,
            )
        ),
        *(
            news_filter.impact_threshold,
            _text(subscription.alert_channels),
            subscription.created_at,
            subscription.updated_at,
        ),
    )
    created_at = await _returned(connection, _UPSERT_DEFAULT, row)
    await connection.execute(
        "INSERT INTO subscription_extras VALUES (?,?) ON CONFLICT (user_id) DO UPDATE SET extras = excluded.extras",
        (subscription.user_id, _text(extras)),
    )
    return subscription.created_at if created_at is None else created_at


async def _save_channel(connection: aiosqlite.Connection, subscription: Subscription) -> float:
    user_id, channel, news_filter, alert_channels, created_at, updated_at = subscription
    row = (user_id, channel, _text(news_filter), _text(alert_channels), created_at, updated_at)
    first = await _returned(connection, _UPSERT_CHANNEL, row)
    return created_at if first is None else first


async def _returned(connection: aiosqlite.Connection, sql: str, row: tuple[object, ...]) -> float | None:
    [(created_at,)] = await connection.execute_fetchall(sql, row)
    return _time(created_at)


def _default_of(row: Row) -> Subscription:
    user_id, nitter_accounts, rss_feeds, categories, keywords, threshold, alert_channels, created, updated, extras = row
    try:
        more = msgspec.json.decode(extras or "{}", type=_Extras)
        news_filter = Filter(
            nitter_accounts=_names(nitter_accounts),
            rss_feeds=_names(rss_feeds),
            categories=_names(categories),
            keywords=_names(keywords),
            impact_threshold=_threshold(threshold),
            tickers=more.tickers,
            people=more.people,
            exclude=more.exclude,
            sources_strict=more.sources_strict,
        )
        times = (_time(created) or 0.0, _time(updated) or 0.0)
        return Subscription(user_id, DEFAULT_CHANNEL, normalize_filter(news_filter), _names(alert_channels), *times)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise CorruptSubscriptionError(f"user_subscriptions row: {error}") from error


def _channel_of(row: Row) -> Subscription:
    user_id, channel, news_filter, alert_channels, created_at, updated_at = row
    try:
        stored = msgspec.json.decode(news_filter, type=Filter)
        return Subscription(user_id, channel, normalize_filter(stored), _names(alert_channels), created_at, updated_at)
    except msgspec.MsgspecError as error:
        raise CorruptSubscriptionError(f"subscription_channels row: {error}") from error


def _names(stored: str | None) -> tuple[str, ...]:
    return msgspec.json.decode(stored, type=tuple[str, ...]) if stored else ()


def _time(stored: object) -> float | None:
    """Return a stored time, or None if the value is not a number. That is not an error, because the original may have
    left out the time and no decision depends on it.
    """
    return float(stored) if isinstance(stored, int | float) else None


def _threshold(stored: object) -> int:
    if stored is None:
        return DEFAULT_THRESHOLD
    if isinstance(stored, int) and 0 <= stored <= 100:
        return stored
    raise ValueError(f"impact_threshold {stored!r}: must be an integer between 0 and 100")


def _text(value: object) -> str:
    return _encode(value).decode()
