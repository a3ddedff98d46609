"""Adapters: each folder connects the server to one technology, and imports nothing from the other folders here.

http/     the server: REST, WebSockets, operations              (aiohttp, aiohttp-cors, websockets)
sources/  sources of news: feeds and the bundled sample         (aiohttp, lxml, charset-normalizer, selectolax)
sqlite/   the stores in one file: log, filters, cursors, …      (aiosqlite)
memory/   the same stores in memory, without durability
tokens/   verification and signing of JSON Web Tokens           (PyJWT)
system/   clock, file descriptors, garbage collector, logs      (structlog)
data/     bundled data files, and HTML to plain text            (selectolax)
"""
