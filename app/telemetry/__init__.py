"""What the server counts. Every metric is defined here; others call `record_` methods and know no metric name.

labels            the closed sets of label values, one enum each
histogram         counts by upper edge, with the exemplar of each bucket
stats             all counters, in the groups below
connection_stats  handshakes, tokens, heartbeats, messages, limits, disconnects
intake_stats      items on their way into the log, feeds
broadcast_stats   decisions, sends, latencies, bytes: the hot path
recovery_stats    resumes, replays, gaps, acks, redeliveries
server_stats      requests, database, event loop, log lines, canary, scrapes
process           the process as the kernel reports it
families          the kinds of metric families
catalogue         every metric: its name, its help, its labels, and where its samples are read
limit_hits        every limit that was hit, in one view
exposition        the registry: one collector reads the catalogue; gauges are read at scrape
rendering         a registry as bytes

Counters belong to the process and not to a connection, so no counter falls when a connection ends. May import: core,
prometheus_client.
"""
