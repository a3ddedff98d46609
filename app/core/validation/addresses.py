"""Parse the origins of web pages, names of hosts, networks and URLs."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from app.core.validation.values import comma_separated

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A scheme and a host, which a file has none of; or the origin of a page without one, such as a sandboxed frame.
_ORIGIN = re.compile(r"null|file://|[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?\Z")
# A name or an IPv4 address, or an IPv6 address, which has two colons at least.
_HOST = re.compile(r"(?:[a-z0-9_.-]+|(?=[^:]*:[^:]*:)[0-9a-f:.]+)\Z")


@lru_cache(256)
def normalize_origin(text: str) -> str:
    """Return an origin in the form in which origins are compared: in lower case, without a slash at its end and without
    the default port of its scheme. A text that is no `scheme://host` is returned in lower case.
    """
    lowered = text.strip().lower()
    try:
        parts = urlsplit(lowered.removesuffix("/") if lowered != "file:///" else "file://")
        port = parts.port
    except ValueError:
        return lowered
    is_plain = f"{parts.scheme}://{parts.netloc}" == lowered.removesuffix("/") and "@" not in parts.netloc
    if is_plain and port is not None and port == _DEFAULT_PORTS.get(parts.scheme):
        return f"{parts.scheme}://{parts.netloc.rpartition(':')[0]}"
    return f"{parts.scheme}://{parts.netloc}" if is_plain else lowered


def page_host(origin: str) -> str:
    """Return the host of an http or https origin, and "" for any other text."""
    parts = urlsplit(origin) if _ORIGIN.match(origin) else None
    return parts.hostname or "" if parts is not None and parts.scheme in _DEFAULT_PORTS else ""


def parse_origins(text: str) -> tuple[str, ...]:
    """Parse origins that are separated by commas; `*` stands for every origin. Raises ValueError for an origin that no
    page can have.
    """
    return tuple("*" if part == "*" else _parse_origin(part) for part in comma_separated(text))


def parse_exact_origins(text: str) -> tuple[str, ...]:
    """Parse origins that are separated by commas. Raises ValueError for an origin that no page can have, for example
    because it contains a path or a wildcard.
    """
    return tuple(map(_parse_origin, comma_separated(text)))


def _parse_origin(text: str) -> str:
    origin = normalize_origin(text)
    if not _ORIGIN.match(origin):
        raise ValueError(text)
    return origin


def parse_hosts(text: str) -> tuple[str, ...]:
    """Parse host names that are separated by commas. Raises ValueError for a text that is not one, such as a name with
    a port.
    """
    hosts = tuple(part.lower() for part in comma_separated(text))
    if not all(map(_HOST.match, hosts)):
        raise ValueError(text)
    return hosts


def parse_networks(text: str) -> tuple[str, ...]:
    """Parse IP addresses and networks that are separated by commas. Raises ValueError."""
    return tuple(str(ipaddress.ip_network(part)) for part in comma_separated(text))


def parse_safe_url(text: str) -> str:
    """Return a URL whose answers cannot be changed on the way: an https URL, or an http URL of a loopback host. An
    empty text is returned too. Raises ValueError for any other text.
    """
    parts = urlsplit(text)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if text and not (is_safe and parts.hostname):
        raise ValueError(text)
    return text


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost` or a loopback address. The result is False for any other host name, because
    names are not resolved.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
