"""Canonical URLs and item ids. This file owns when two links are one story, so that publishing twice is one item."""

import hashlib
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MAX_URL_LENGTH = 2048

# What links carry for the publisher's statistics, never for the reader.
_TRACKING_PREFIXES = ("utm_", "at_", "mc_", "_hs")
_TRACKING_KEYS = frozenset(
    """
    fbclid gclid dclid msclkid yclid igshid cmpid cmp ncid
    ref_src taid partner smid sref ito ftag xtor
    """.split()
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def canonical(url: str) -> str:
    """Reduce a link to what names the story: lower-case host, no default port, no tracking keys, keys in order.

    The scheme, a leading `www.`, a trailing slash and the fragment do not tell two stories apart and are dropped too,
    so the result is a key, not a link to follow. Raises ValueError when the link is not http(s) with a host. What was
    asked last is remembered: an item's link is checked, and then used.
    """
    # A lone surrogate is a ValueError of its own kind (UnicodeEncodeError).
    url.encode()
    if not url.isprintable() or " " in url:
        raise ValueError("want no spaces or control characters")
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("want an http or https URL with a host")
    if "@" in parts.netloc:
        raise ValueError("want a URL without user name and password: everybody reads it")
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    # Escapes that are no UTF-8 must stay as different as they are.
    pairs = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
    kept = sorted(pair for pair in pairs if not _is_tracking(pair[0]))
    query = urlencode(kept, errors="surrogateescape")
    return urlunsplit(("", host.removeprefix("www.") + port, parts.path.rstrip("/"), query, ""))


def item_id(source: str, url_key: str) -> str:
    """Name an item by its source and canonical URL: `rss_0f3c…`, 16 hexadecimal digits of SHA-256."""
    return f"{source}_{hashlib.sha256(url_key.encode()).hexdigest()[:16]}"


def _is_tracking(key: str) -> bool:
    lowered = key.lower()
    return lowered in _TRACKING_KEYS or lowered.startswith(_TRACKING_PREFIXES)
