"""Check the Origin headers of an upgrade request before the 101: which web pages may open a WebSocket.

A browser lets every page open a WebSocket to any server, because CORS does not apply, and names the page's origin in
the header Origin. Other clients send no Origin, so a request without one is not checked. If NEWS_ALLOWED_ORIGINS is
set, only the origins that it lists are allowed. If it is not set, pages of a loopback host are allowed, and pages of
this server itself if their URL has an IP address instead of a host name: an attacker can make a host name of their own
point to this server.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from app.config import is_loopback
from app.core.errors import ClientError, ErrorCode


def check_origin(origins: tuple[str, ...], host: str, allowed: tuple[str, ...]) -> None:
    """Raise ClientError(ORIGIN_NOT_ALLOWED) unless a request has no Origin header, or one that is allowed.

    `host` is the request's Host header; `allowed` are the origins of NEWS_ALLOWED_ORIGINS.
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
