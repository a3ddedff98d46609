"""The durable log and the stored subscriptions in one SQLite file.

schema              the tables, their versions, and what a database of the original brings along
opening             opening the file: pragmas, durability, ours alone
database            one writer with transactions, one reader, one searcher
faults              how SQLite fails, and what each failure means
space               the ballast, and when nothing more is stored
queries             what a NewsQuery is in SQL
together            look-ups that wait together are one query
news_log            NewsLog: group commit, a tail in memory, queries
subscription_store  SubscriptionStore: the original's table, and what is beside it
cursor_store        CursorStore: where devices acknowledged up to
revocation_store    RevocationStore: which tokens are believed no more
stores              all of them
"""
