"""polyfloat-news: news pushed to traders' terminals the moment it is known, each user only what their filters ask for.

Read `wiring.py` first: it builds every part and connects them. The layers; arrows only point down:

    __main__   the command line
    wiring     composition root                   client   our own clients of the server
    adapters   technologies (http, sqlite, memory, feeds)
    flows      journeys (process, broadcast, connections, session, converse, subscriptions)
    ports      what flows need of the world       telemetry   what flows count      config   settings
    core       pure rules
"""

__version__ = "0.2.0"
