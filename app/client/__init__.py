"""The clients of the command line. They use the public protocol and nothing else.

backoff      full jitter, base 0.5 s, cap 30 s
credentials  the header that carries a token
publish      NDJSON to POST /api/v1/news, in batches, with retries when the server asks for it
listen       a WebSocket client for the terminal, which reconnects until it is stopped
"""
