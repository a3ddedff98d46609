"""What the server counts. Every instrument stands here; others call verbs on `Stats` and know no metric name.

labels      the closed sets of label values, one enum each
histogram   counts by upper edge, with the exemplar of each bucket
stats       plain integers, cheap enough for the hot path
recovery    the same for resumes, replays, gaps, acks and redeliveries
process     what the kernel knows of the process
catalogue   every family: its name, its help, its labels, and where its samples are read
limit_hits  every limit that was hit, in one view of them
exposition  the registry: one collector reads the catalogue; gauges are read at scrape
rendering   a registry as bytes

Counters live here and never in a connection, so nothing falls when one goes. May import: core, prometheus_client.
"""
