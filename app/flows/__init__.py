"""What the server does, written against ports: no module here knows HTTP, sockets or SQLite.

delivery/     the hot path: from a stored item to the sockets of all connections that match
connections/  connections and what their clients ask for, from the upgrade to the disconnect
news/         items on their way into the log, and stored items read back through filters
operations/   monitoring, retention and shutdown of the server
time_slices   shares the event loop between the tasks that read stored items back
visibility    what the bearer of a token is shown of a stored item

Imports between these folders go one way: `operations` may import the other three, and `connections` may import
`delivery` and `news`, which import neither each other nor the other two.

May import: core, ports, telemetry.
"""
