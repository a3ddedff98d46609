"""The durable log and the stored filters in one SQLite file.

schema              the tables, their versions, and the import of the original's database
opening             opening the file: pragmas, durability, the lock
database            one writer with transactions, one reader, one searcher
faults              how SQLite fails, and what each failure means
disk_space          the ballast, and when nothing more is stored
queries             a NewsQuery as SQL
batch_loader        look-ups that wait at the same time are one query
news_log            NewsLog: group commit, a tail in memory, queries
subscription_store  SubscriptionStore: stored filters, in the original's table and one beside it
cursor_store        CursorStore: up to where devices acknowledged
revocation_store    RevocationStore: which tokens are revoked
stores              all of them
"""
