"""Technologies. Each folder or file here knows one; none knows another; all fulfil or drive what flows and ports say.

http/     the server: routes, sockets, REST, operations          (aiohttp, aiohttp-cors)
feeds/    RSS and Atom over HTTP, and the bundled sample wire     (aiohttp, fastfeedparser, feedparser)
sqlite/   the durable log and the stored subscriptions           (aiosqlite)
memory/   the same two, gone with the process
tokens/   who a JSON Web Token speaks for                         (PyJWT)
receiver  a WebSocket client that only listens, for the canary    (aiohttp)
clock     the one place that asks the system for the time
descriptors  how many connections the process may hold
collector how often the garbage collector looks
logs      structured logging                                     (structlog)
markup    text from HTML                                         (selectolax)
tables    the bundled vocabularies and sample wire as values     (tomllib)
"""
