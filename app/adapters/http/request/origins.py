"""Check the Origin headers of an upgrade request before the 101: which web pages may open a WebSocket.

CORS does not apply to WebSockets, so a browser allows every page to open one to any server. It names the origin of the
page in the header Origin. Other clients send no Origin, so a request without one is not checked.

If NEWS_ALLOWED_ORIGINS is set, only the origins that it lists are allowed. If it is not set, two kinds of pages are
allowed: pages of a loopback host, and pages of this server itself whose URL has an IP address as its host. A host name
is not accepted, because an attacker can make a host name of their own point to this server.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from app.config import is_loopback
from app.core.errors import ClientError, ErrorCode


def check_origin(origins: tuple[str, ...], host: str, allowed: tuple[str, ...]) -> None:
    """Raise ClientError(ORIGIN_NOT_ALLOWED) if a request has an origin that is not allowed, or several Origin headers.

    `origins` are the values of the request's Origin headers, `host` is its Host header, and `allowed` are the origins
    in NEWS_ALLOWED_ORIGINS. A request without an Origin header passes.
    """
    if origins and (len(origins) > 1 or not _is_allowed(origins[0].lower(), host.lower(), allowed)):
        detail = "Pages of this origin may not connect: NEWS_ALLOWED_ORIGINS names those that may"
        raise ClientError(ErrorCode.ORIGIN_NOT_ALLOWED, detail)


def _is_allowed(origin: str, host: str, allowed: tuple[str, ...]) -> bool:
    if allowed:
        return origin in allowed
    page = _split(origin)
    if page is None or page.hostname is None:
        return False
    return is_loopback(page.hostname) or (page.netloc == host and _is_ip_address(page.hostname))


def _split(origin: str) -> SplitResult | None:
    """Parse an http or https origin. Return None for any other text, such as the origin "null"."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    is_origin = parts.scheme in ("http", "https") and f"{parts.scheme}://{parts.netloc}" == origin
    return parts if is_origin and "@" not in parts.netloc else None


def _is_ip_address(hostname: str) -> bool:
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True
