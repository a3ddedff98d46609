"""Our own clients of the server: what the command line uses. They speak the public protocol and nothing else.

backoff   full jitter, base 0.5 s, cap 30 s
credentials  the header that carries a token
publish   NDJSON to POST /api/v1/news, in batches, again when the server asks for it
listen    a WebSocket client for the terminal, reconnecting for ever
"""
