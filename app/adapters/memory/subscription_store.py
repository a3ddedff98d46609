"""Implement the port SubscriptionStore in memory."""

from app.core.filters.filter import DEFAULT_CHANNEL, Subscription


class MemorySubscriptionStore:
    """Subscriptions in a dictionary by user and channel."""

    def __init__(self) -> None:
        self._stored: dict[str, dict[str, Subscription]] = {}

    async def load(self, user_id: str, channel: str) -> Subscription | None:
        return self._stored.get(user_id, {}).get(channel)

    async def save(self, subscription: Subscription) -> Subscription:
        channels = self._stored.setdefault(subscription.user_id, {})
        before = channels.get(subscription.channel, subscription)
        channels[subscription.channel] = subscription._replace(created_at=before.created_at)
        return channels[subscription.channel]

    async def count_channels(self, user_id: str) -> int:
        return sum(channel != DEFAULT_CHANNEL for channel in self._stored.get(user_id, {}))

    async def count_users(self) -> int:
        return sum(DEFAULT_CHANNEL in channels for channels in self._stored.values())

    async def delete(self, user_id: str, channel: str | None = None) -> bool:
        if channel is None:
            return self._stored.pop(user_id, None) is not None
        return self._stored.get(user_id, {}).pop(channel, None) is not None
