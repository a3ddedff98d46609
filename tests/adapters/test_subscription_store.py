"""One suite for every SubscriptionStore."""

from app.core.filters.filter import Exclude, Filter, Subscription
from app.ports.stores import SubscriptionStore

WANTED = Filter(
    nitter_accounts=("@whale_alert",),
    rss_feeds=("wsj", "Börse"),
    categories=("crypto",),
    keywords=("rate cut*", "利下げ"),
    impact_threshold=0,
    tickers=("BTC",),
    people=("Powell",),
    exclude=Exclude(keywords=("rumor",)),
    sources_strict=True,
)


def subscription(
    user_id: str = "u", channel: str = "default", wanted: Filter = WANTED, at: float = 10.0
) -> Subscription:
    return Subscription(user_id, channel, wanted, ("terminal",), at, at)


async def test_unknown_user_has_no_subscription(store: SubscriptionStore) -> None:
    assert await store.load("u", "default") is None
    assert not await store.delete("u")


async def test_load_returns_what_was_saved(store: SubscriptionStore) -> None:
    for channel in ("default", "btc"):
        saved = await store.save(subscription(channel=channel))

        assert await store.load("u", channel) == saved == subscription(channel=channel)


async def test_saving_again_keeps_only_the_creation_time(store: SubscriptionStore) -> None:
    for channel in ("default", "btc"):
        await store.save(subscription(channel=channel))

        saved = await store.save(subscription(channel=channel, wanted=Filter(), at=20.0))

        assert saved == await store.load("u", channel)
        assert (saved.filter, saved.created_at, saved.updated_at) == (Filter(), 10.0, 20.0)


async def test_users_and_channels_are_independent(store: SubscriptionStore) -> None:
    for user in ("a", "b"):
        for channel in ("z", "default", "y"):
            await store.save(subscription(user, channel))

    assert await store.delete("a")

    for channel in ("z", "default", "y"):
        assert await store.load("a", channel) is None
        assert await store.load("b", channel) == subscription("b", channel)


async def test_stored_channels_and_users_are_counted(store: SubscriptionStore) -> None:
    for user, channel in (("a", "default"), ("a", "y"), ("a", "z"), ("b", "default"), ("c", "z")):
        await store.save(subscription(user, channel))

    assert [await store.count_channels(user) for user in ("a", "b", "c", "d")] == [2, 0, 1, 0]
    assert await store.count_users() == 2
    await store.save(subscription("d"))
    await store.save(subscription("d", wanted=Filter(), at=20.0))
    assert await store.count_users() == 3
    await store.delete("c")
    await store.delete("a", "z")
    assert await store.count_users() == 3
    await store.delete("a")
    assert (await store.count_users(), await store.count_channels("a")) == (2, 0)
