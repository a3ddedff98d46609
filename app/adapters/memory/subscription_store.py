"""SubscriptionStore in memory. This file owns the subscriptions of a server that keeps nothing."""

from app.core.filters.filter import DEFAULT_CHANNEL, Subscription


class MemorySubscriptionStore:
    """Subscriptions in a dictionary by user and channel."""

    def __init__(self) -> None:
        self._stored: dict[str, dict[str, Subscription]] = {}

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        return self._stored.get(user_id, {}).get(channel)

    async def load_channels(self, user_id: str) -> list[Subscription]:
        channels = self._stored.get(user_id, {}).values()
        return sorted(channels, key=lambda stored: (stored.channel != DEFAULT_CHANNEL, stored.channel))

    async def save(self, subscription: Subscription) -> Subscription:
        channels = self._stored.setdefault(subscription.user_id, {})
        before = channels.get(subscription.channel, subscription)
        channels[subscription.channel] = subscription._replace(created_at=before.created_at)
        return channels[subscription.channel]

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        if channel is None:
            return self._stored.pop(user_id, None) is not None
        return self._stored.get(user_id, {}).pop(channel, None) is not None
