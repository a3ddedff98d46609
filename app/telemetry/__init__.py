"""Counters, histograms and their metrics. Other packages count by calling `record_` methods, and do not know the names
of metrics. The exception is flows/operations/gauges, which defines the gauges that are read from flows and stores.

labels            the closed sets of label values, one enum each
histogram         a histogram with exemplars, and the bucket edges
stats             all counters: one object for each *_stats module below
connection_stats  handshakes, tokens, heartbeats, messages, limits, disconnects
intake_stats      items on their way into the log, feeds
broadcast_stats   decisions, sends, latencies, bytes: the hot path
recovery_stats    resumes, replays, gaps, acks, redeliveries
server_stats      requests, database, event loop, log lines, canary, scrapes
process           the process_* metrics, read from the kernel
families          the kinds of metric families
catalogue         the name, help and labels of every counter and gauge that is read from Stats
distributions     the same for every histogram
limit_hits        how often each limit was hit
exposition        the registry, which collects every metric at a scrape
rendering         a registry as text for a scrape

Counters belong to the process and not to a connection, so no counter falls when a connection ends.

May import: core, prometheus_client, structlog.
"""
