"""Check where a request comes from: the host name that it was sent to, and the web page that sent it.

A browser lets every page open a WebSocket to any server, and send it simple requests. It names the origin of the page
in the header Origin. Other clients send no Origin, so a request without one is not checked. Allowed are the page's own
server, and the origins that the settings list; a WebSocket without such a list may also be opened by pages of a
loopback host.

The page's own server is recognized by the header Host. On a server of this machine without tokens, that header must be
checked too: an attacker can make a host name of their own point to this machine (DNS rebinding), and a page of that
name would pass for the server's own.
"""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from app.adapters.http.request.client_ip import parse_address
from app.config import Settings
from app.core.errors import ClientError, ErrorCode
from app.core.validation.addresses import is_loopback, normalize_origin, page_host

_SCHEMES = ("http", "https")
_SAFE_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)
_FORWARDED_SCHEME = "X-Forwarded-Proto"


def check_host(request: web.Request, settings: Settings) -> None:
    """Raise ClientError(HOST_NOT_ALLOWED) if a request was sent to a host name that is not this server's.

    If NEWS_ALLOWED_HOSTS is not set, every name is allowed, except on a loopback address without tokens: there a host
    must be an IP address, `localhost` or a name under it.
    """
    named = settings.allowed_hosts
    if not (named or settings.serves_only_this_machine):
        return
    host = _host_name(request.headers.get(hdrs.HOST, ""))
    if host is not None and (host in named or _is_local(host)):
        return
    detail = "This server does not serve that host name: NEWS_ALLOWED_HOSTS names those that it serves"
    raise ClientError(ErrorCode.HOST_NOT_ALLOWED, detail)


def check_page(request: web.Request, settings: Settings) -> None:
    """Raise ClientError(ORIGIN_NOT_ALLOWED) if a page that may not do so sent a request that changes something."""
    if request.method not in _SAFE_METHODS and "*" not in settings.cors_origins:
        _check_origin(request, settings, (*settings.allowed_origins, *settings.cors_origins))


def check_upgrade_origin(request: web.Request, settings: Settings) -> None:
    """Raise ClientError(ORIGIN_NOT_ALLOWED) if a page that may not do so opens a WebSocket."""
    _check_origin(request, settings, settings.allowed_origins, allows_loopback=not settings.allowed_origins)


def _check_origin(
    request: web.Request, settings: Settings, allowed: tuple[str, ...], *, allows_loopback: bool = False
) -> None:
    origins = request.headers.getall(hdrs.ORIGIN, [])
    if not origins:
        return
    origin = normalize_origin(origins[0])
    if len(origins) == 1 and (
        origin in allowed
        or (allows_loopback and is_loopback(page_host(origin)))
        or origin == normalize_origin(f"{_scheme_of(request, settings)}://{request.headers.get(hdrs.HOST, '')}")
    ):
        return
    detail = "Pages of this origin may not do this: NEWS_ALLOWED_ORIGINS names those that may"
    raise ClientError(ErrorCode.ORIGIN_NOT_ALLOWED, detail)


def _scheme_of(request: web.Request, settings: Settings) -> str:
    """Return the scheme with which the client reached this server, or the trusted proxy in front of it."""
    forwarded = request.headers.get(_FORWARDED_SCHEME, "").strip().lower()
    peer = parse_address(request.remote or "")
    is_trusted = peer is not None and any(peer in ipaddress.ip_network(proxy) for proxy in settings.trusted_proxies)
    return forwarded if is_trusted and forwarded in _SCHEMES else request.scheme


@lru_cache(256)
def _host_name(host: str) -> str | None:
    """Return the host of a Host header without its port, in lower case; None if the header is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    return parse_address(host) is not None or host == "localhost" or host.endswith(".localhost")
