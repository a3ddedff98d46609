"""Monitoring, retention and shutdown of the server.

call_limits     limits on REST calls, and on the answers that are on their way
canary          the server's own client, and the probes that it sends
canary_handler  the server's side of the canary's connection
readiness       whether the server makes progress and accepts connections and items
gauges          the gauges whose values are read from flows and stores at every scrape
loop_lag        how late the event loop wakes a timer
send_buffers    unsent bytes, items not read from the log yet, and missing acks, over all connections
retention       deletes old items and old cursors
supervision     ends the server if one of its background tasks ends
shutdown        refuses new work, broadcasts what was accepted, and closes all connections

May import: core, ports, telemetry, flows.connections, flows.delivery, flows.news.
"""
