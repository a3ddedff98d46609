"""All stores in memory, without durability: for `--database :memory:` and for tests.

news_log            NewsLog
subscription_store  SubscriptionStore
cursor_store        CursorStore
revocation_store    RevocationStore
seen_store          SeenStore
stores              the bundle of all stores
"""
