"""The HTTP and WebSocket server. Handlers parse requests and encode responses; `app/flows` makes the decisions.

application        the aiohttp applications: routes, CORS, request metrics, access log
services           the services that handlers use, stored in an application under typed keys
server             listening sockets
http_connections   how many HTTP connections each address has
server_protocol    one HTTP connection: keep-alive, and the time limit for request heads
aiohttp_internals  the private parts of aiohttp that this package depends on

request/    parsing and checking requests
response/   response documents and errors
websocket/  upgrades, frames, open sockets
rest/       the handlers of the REST API
apidocs/    the description of the API, generated from its types
web/        static pages for browsers
"""
