"""polyfloat-news: news pushed to traders' terminals at once, to each user what their filters match.

Read `wiring.py` first: it builds every part and connects them. The layers; a layer imports only from those below it:

    __main__   the command line
    serve      a server from start to shutdown
    wiring     composition root                  client   the clients of the command line
    adapters   technologies: http, sources, sqlite, memory, tokens, system, data
    flows      what the server does: delivery, connections, news, operations
    ports      what flows need from outside      telemetry   what is counted      config   settings
    core       pure rules

`data` has bundled vocabularies and sample news, `web` the browser page.
"""

__version__ = "0.2.0"
