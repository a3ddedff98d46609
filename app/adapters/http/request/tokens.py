"""Find the token in a request.

Three places are searched, in this order: the header `Authorization: Bearer`; the query parameter `token`, if the
setting NEWS_TOKEN_IN_QUERY allows it; and the WebSocket subprotocol `bearer.<token>`. The query parameter is off by
default, because queries appear in access logs. The subprotocol exists for browsers, which cannot set a header on a
WebSocket; a client offers it beside the real subprotocol.
"""

from aiohttp import hdrs, web
from multidict import MultiMapping

_SCHEME = "bearer "
_SUBPROTOCOL = "bearer."


def read_token(request: web.Request, *, in_query: bool) -> str | None:
    """Return the token of a request without verifying it; None if the request has none.

    If the Authorization header is repeated or is not of the scheme Bearer, return "", which is not a valid token.
    """
    values = request.headers.getall(hdrs.AUTHORIZATION, [])
    if values:
        is_bearer = len(values) == 1 and values[0].lower().startswith(_SCHEME)
        return values[0][len(_SCHEME) :].strip() if is_bearer else ""
    if in_query and "token" in request.query:
        return request.query["token"]
    offered = offered_subprotocols(request.headers)
    return next((name.removeprefix(_SUBPROTOCOL) for name in offered if name.startswith(_SUBPROTOCOL)), None)


def offered_subprotocols(headers: MultiMapping[str]) -> list[str]:
    """Return the subprotocols that a client offers, in the order of its request."""
    lines = headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name.strip() for line in lines for name in line.split(",")]
