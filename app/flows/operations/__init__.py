"""How the server watches and ends itself.

canary          the server's own client, and the probes it sends
canary_handler  the server's side of the canary's connection
readiness       whether the server makes progress and accepts work
gauges          what is read at scrape
loop_lag        how late the event loop runs
send_buffers    what clients have not taken yet
retention       what the log forgets
shutdown        how the server stops

May import: core, ports, telemetry, flows.connections, flows.delivery, flows.news.
"""
