"""The technologies. Each folder knows one, none knows another, and each implements or calls what ports and flows
define.

http/ the server: REST, sockets, operations (aiohttp, aiohttp-cors, websockets' frame parser) sources/ where news comes
from: feeds and the bundled sample (aiohttp, fastfeedparser, feedparser) sqlite/ the durable log and the stored filters
(aiosqlite) memory/ the same without durability tokens/ verifying and signing JSON Web Tokens (PyJWT) system/ the clock,
file descriptors, the garbage collector, logs (structlog) data/ bundled data files as values, and text from HTML
(selectolax)
"""
