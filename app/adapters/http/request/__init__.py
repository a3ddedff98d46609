"""A request on its way in: who sends it, from where, and what it says.

client_ip     the address that a request is counted for, behind proxies too
origins       which pages may open a WebSocket
tokens        where a request carries a token
identity      the caller of a call under /api/v1
params        query parameters, every wrong one named
request_body  bounded bodies of the right type, in time
"""
