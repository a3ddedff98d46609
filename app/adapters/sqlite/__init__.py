"""The durable log and the stored subscriptions in one SQLite file.

schema              the tables, their versions, and what a database of the original brings along
database            opening, pragmas, one writer with transactions, one reader
queries             what a NewsQuery is in SQL
news_log            NewsLog: group commit, a tail in memory, queries
subscription_store  SubscriptionStore: the original's table, and what is beside it
cursor_store        CursorStore: where devices acknowledged up to
"""
