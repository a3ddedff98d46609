"""The interfaces through which flows use storage, sockets, time and tokens. Adapters and the tests' fakes implement
them.

log        the durable log of items
stores     stored filters, cursors of devices, revocations, and the bundle of all stores
seen       what was seen of feeds
transport  clients' sockets, the handlers of their events, and sends to many sockets
clock      time
auth       verification of tokens

A port is added only if it has two implementations, such as SQLite and memory, the system's clock and a test's clock, or
a socket and a test's link that records what is sent. Both implementations of a log or store pass the same tests. May
import: core.
"""
