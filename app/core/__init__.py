"""The rules of the server, as pure code: no I/O, no clock, no logging, no metrics, no event loop, no randomness. The
time is always an argument.

errors        the errors that are reported to callers, and the HTTP status of each error code
limits        every limit of the server, and its default
rate_limiter  token buckets
validation/   conversion of JSON and texts from outside to typed values, or to errors that say what each must be
text/         words and terms, and the index that finds listed terms in a text
news/         what an item is, and how it is completed
access/       the caller's identity, and what the caller may see
filters/      what a filter means, and the index of all filters in use
delivery/     phases of a connection, positions in the log, acks, counters for each slot
protocol/     messages, frames, close codes

Modules here may import the pure parts of the standard library, msgspec and pyroaring, but no other package of `app`.
"""
