"""The interfaces through which flows use storage, sockets, time and tokens. Adapters and the tests' fakes implement
them.

log        the durable log of items
stores     stored filters, cursors of devices, revocations, and the bundle of all stores
transport  clients' sockets, the handlers of their events, and sends to many sockets
clock      time
auth       verification of tokens

A port is added only once it has two implementations: SQLite and memory, the system's clock and a test's, a socket
and a link that records. Both implementations of a log or store pass the same tests. May import: core.
"""
