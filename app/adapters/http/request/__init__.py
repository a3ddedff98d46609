"""Parse and check a request: the caller and its address, the parameters and the body.

proxy_protocol  the header in which a proxy names the client before the first byte
client_ip       the client's address, for the limits of one address
origins         which web pages may open a WebSocket
tokens          finding the token in a request
identity        the caller of a REST call under /api/v1
params          query parameters, with one error that names all wrong ones
request_body    request bodies, limited in content type, size and time
"""
