"""The stores in one SQLite file: the durable log, stored filters, device cursors and revocations.

schema              the tables, their version, and migrations, also of the original service's database
opening             opens the file: lock, pragmas, durability
database            one connection for writes, one for indexed reads, one for searches
faults              classes of SQLite errors, and the error that a caller gets for each
disk_space          the ballast file, and which writes are refused on a full disk
queries             converts a NewsQuery to SQL
batch_loader        combines concurrent look-ups into one query
news_log            NewsLog: group commit, the newest items in memory, queries
subscription_store  SubscriptionStore: stored filters, in a table of the original service and two others
cursor_store        CursorStore: the position up to which each device acknowledged
revocation_store    RevocationStore: the time up to which each user's tokens are revoked
stores              the bundle of all stores
"""
