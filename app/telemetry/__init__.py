"""What the server counts. Every instrument stands here; others call verbs on `Stats` and know no metric name.

    stats      plain integers, cheap enough for the hot path; closed label sets are enums
    exposition the registry: one collector renders `Stats`, gauges are read at scrape

Counters live here and never in a connection, so nothing falls when a connection goes. May import: core,
prometheus_client.
"""
