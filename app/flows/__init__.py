"""What the server does, step by step: ports in, ports out, no technology.

delivery/     the hot path: from a stored item to the sockets of all connections that match
connections/  connections and what their clients ask for, from the upgrade to the end
news/         news on its way into the log, and out of it on request
operations/   how the server watches and stops itself

operations → connections → delivery, news: a folder imports only from those to its right.
May import: core, ports, telemetry.
"""
