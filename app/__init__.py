"""polyfloat-news: a WebSocket server that pushes news to traders. Each user receives the items that match the user's
filters.

Read `wiring.py` first: it builds every component and connects them. A module imports only from its own layer and from
the layers below it. Each line is one layer:

__main__   the command line
serve      runs a server from start to shutdown
wiring     the composition root                  client   the clients behind `publish` and `listen`
adapters   technologies: http, sources, sqlite, memory, tokens, system, data
flows      what the server does: delivery, connections, news, operations
ports      interfaces that adapters implement    telemetry   counters, metrics      config   settings
core       rules without input or output

Two folders contain no Python code: `data` has the bundled vocabularies and sample news, `web` has the browser page.
"""

__version__ = "0.2.0"
