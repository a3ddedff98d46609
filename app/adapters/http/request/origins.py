"""Which pages may open a socket. This file owns the check of Origin, before the 101.

A browser lets every page open a WebSocket to everywhere and says only which page it was; CORS does not guard them. Who
is no browser sends no Origin. Settings name the pages exactly. Without any those of this machine may, and the page that
this server served itself where it was asked for by an address: a name could be anybody's who points it here.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from aiohttp import hdrs, web

from app.config import is_loopback
from app.core.errors import ClientError, ErrorCode


def check_origin(request: web.Request, allowed: tuple[str, ...]) -> None:
    """Raises Theirs(ORIGIN_NOT_ALLOWED)."""
    given = request.headers.getall(hdrs.ORIGIN, [])
    if given and (len(given) > 1 or not _is_allowed(given[0].lower(), request.host.lower(), allowed)):
        raise ClientError(
            ErrorCode.ORIGIN_NOT_ALLOWED, "Pages of this origin may not connect: NEWS_ALLOWED_ORIGINS names those"
        )


def _is_allowed(origin: str, host: str, allowed: tuple[str, ...]) -> bool:
    if allowed:
        return origin in allowed
    page = _split(origin)
    if page is None or page.hostname is None:
        return False
    return is_loopback(page.hostname) or (page.netloc == host and _is_address(page.hostname))


def _split(origin: str) -> SplitResult | None:
    """Give the parts of an origin, None where it is not one: "null", or what no browser sends."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    is_origin = parts.scheme in ("http", "https") and f"{parts.scheme}://{parts.netloc}" == origin
    return parts if is_origin and "@" not in parts.netloc else None


def _is_address(hostname: str) -> bool:
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True
