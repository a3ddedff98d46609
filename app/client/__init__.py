"""The clients behind the commands `publish` and `listen`, which use only the server's public API.

backoff      the pause before a retry: full jitter, base 0.5 s, cap 30 s
credentials  the header that carries a token
server       the server's address, and the text of its errors
publish      posts NDJSON to /api/v1/news in batches, and retries when the server is busy or unreachable
listen       a WebSocket client for the terminal, which reconnects until it is stopped or refused
"""
