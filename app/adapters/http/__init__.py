"""The HTTP server. Handlers turn bytes into typed values and values into bytes; flows decide.

application        every route, CORS, middleware, the access log
services           what the handlers need, as typed AppKeys
server             listening sockets
server_protocol    one HTTP connection: keep-alive, and the time limit for heads
aiohttp_internals  what the hand-over relies on in aiohttp

request/    a request on its way in
response/   an answer on its way out
websocket/  upgrades, frames, open sockets
rest/       the handlers of the REST API
apidocs/    the API described by the server itself
web/        pages for browsers
"""
