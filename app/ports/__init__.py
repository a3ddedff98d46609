"""What flows need from outside. Adapters and the tests' fakes implement a port and pass the same suite of tests.

log        the durable log of items
stores     stored filters, cursors of devices, revocations, and the bundle of all stores
transport  one client's socket, the handler of what it does, and sends to many sockets
clock      time
auth       verifying tokens

A port is added with its second implementation: SQLite and memory, the system's clock and a test's, a socket and a
recording. May import: core.
"""
