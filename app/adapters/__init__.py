"""The technologies. Each folder knows one and imports no other; each implements a port or calls a flow.

http/     the server: REST, sockets, operations                (aiohttp, aiohttp-cors, websockets)
sources/  where news comes from: feeds and the bundled sample  (aiohttp, fastfeedparser, feedparser)
sqlite/   the durable log and the stored filters               (aiosqlite)
memory/   the same without durability
tokens/   verifying and signing JSON Web Tokens                (PyJWT)
system/   clock, file descriptors, garbage collector, logs     (structlog)
data/     bundled data files as values, and text from HTML     (selectolax)
"""
