"""The server. Handlers translate: bytes to typed values on the way in, values to bytes on the way out; flows decide.

parts          what the handlers are given, in one AppKey
listening      sockets of an application
handler        one HTTP connection: how long it is kept; heads in drips are given up
application    every route, CORS, middleware
problems       errors as application/problem+json, at the one edge where exceptions end
contract       the REST API as a table: what each call takes and gives
documents      what the server answers, one type each
schemas        /openapi.json and /asyncapi.json, made of the types
docs_page      the same for people, at /docs
protocol       where the protocol can be read
answers        documents as JSON responses
bodies         request bodies: bounded, in time, of the right type
parameters     query parameters: every bad one named
news           POST and GET /api/v1/news
subscriptions  /api/v1/subscriptions
operations     /api/v1/stats, /health, /livez, /readyz
metrics        /metrics
pages          / and its files
addresses      where a request comes from, behind proxies too
identity       who sends a request, and the guard of /api/v1
origins        which pages may open a socket
anteroom       who says after the upgrade who he is
refusals       what a handshake that came to nothing is counted as
opening        what an upgrade request asks for
socket         GET /ws/news and the canary's door: admission, handshake, hand-over
frames         what a client's bytes are: aiohttp's parser, made when bytes come
link           SocketLink: an upgraded transport as a session's Link
volley         the same bytes to many sockets at once
"""
