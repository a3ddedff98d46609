"""The stores in one SQLite file: the durable log, stored filters, device cursors and revocations.

schema              the tables, their version, and migrations, also from the original service's database
opening             opens the file: lock, pragmas, durability
database_file       the lock on the file, and whether it is still the file at its path
mark                whether the file was put back from a backup while no server ran
backup              copying the database, and putting a copy in its place
database            one connection for writes, one for indexed reads, one for searches
faults              the class of a SQLite error, and the error that a caller gets for each class
disk_space          the ballast, a file that is deleted on a full disk, and which writes a full disk refuses
queries             converts a NewsQuery to SQL
batch_loader        combines concurrent look-ups into one query
commit_batch        the appends that share one commit
news_log            NewsLog: group commit, the newest items in memory, queries
subscription_store  SubscriptionStore: stored filters, in a table of the original service and in two new ones
cursor_store        CursorStore: the position up to which each device acknowledged all items
seen_store          SeenStore: the entries of feeds that were seen, and what is remembered about each feed
revocation_store    RevocationStore: the time up to which each user's tokens are revoked
stores              the bundle of all stores
"""
