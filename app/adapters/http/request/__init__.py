"""Parse and check a request: the caller and its address, the parameters and the body.

client_ip     the address that a connection counts toward, behind proxies too
origins       which web pages may open a WebSocket
tokens        where a request carries a token
identity      the caller of a REST call under /api/v1
params        query parameters; one error names every wrong one
request_body  request bodies, limited in content type, size and time
"""
