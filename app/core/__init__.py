"""The pure rules: no I/O, no clock, no log, no metric, no event loop, no randomness. Time is an argument.

errors        the errors, and what each becomes over HTTP
limits        every limit, in groups
rate_limiter  token buckets
validation/   JSON, fields and texts from outside: a typed value, or what it must be
text/         words and terms, and the index that finds listed terms in a text
news/         what an item is, and how it is completed
access/       the caller's identity, and what it may see
filters/      what a filter means, and the index of all of them
delivery/     phases of a connection, positions in the log, acks, counters of slots
protocol/     messages, frames, close codes

May import: the standard library's pure parts, msgspec, pyroaring. Nothing else of `app`.
"""
