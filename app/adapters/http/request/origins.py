"""Which pages may open a WebSocket: the check of Origin, before the 101.

A browser lets every page open a WebSocket to any server and only tells the server which page it was; CORS does not
apply. Other clients send no Origin. The setting lists the pages exactly. Without it, pages of this machine may connect,
and the page that this server served itself, if it was requested by an IP address: any page can be served under a name
that points here.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from app.config import is_loopback
from app.core.errors import ClientError, ErrorCode


def check_origin(origins: tuple[str, ...], host: str, allowed: tuple[str, ...]) -> None:
    """Check the Origin headers of a request to a host. Raises ClientError(ORIGIN_NOT_ALLOWED)."""
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
    """Return the parts of an origin, None if it is not one: "null", or what no browser sends."""
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
