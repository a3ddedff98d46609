"""What the server does, written against ports: no module here knows HTTP, sockets or SQLite.

delivery/     the hot path: from a stored item to the sockets of all connections that match
connections/  connections and what their clients ask for, from the upgrade to the disconnect
news/         items on their way into the log, and stored items read back through filters
operations/   monitoring, retention and shutdown of the server

Imports between these folders: operations → connections → delivery, news. A folder imports only from those to its
right.

May import: core, ports, telemetry.
"""
