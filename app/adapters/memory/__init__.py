"""The log and the stored subscriptions in memory: for `--database :memory:` and for tests. Gone with the process.

news_log            NewsLog
subscription_store  SubscriptionStore
cursor_store        CursorStore
revocation_store    RevocationStore
stores              all of them
"""
