"""Canonical URLs and item ids: when two links are the same story, so that publishing twice makes one item."""

import hashlib
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MAX_URL_LENGTH = 2048

# Parameters for the publisher's statistics, never for the reader.
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
    """Return the key of a link: lower-case host, no default port, no tracking parameters, parameters in order.

    The scheme, a leading `www.`, a trailing slash and the fragment do not tell two stories apart and are dropped, so
    the result is a key and not a link to follow. Recent results are cached, because an item's link is first checked and
    then used. Raises ValueError, saying what the link must be, if it is not http(s) with a host.
    """
    # A lone surrogate raises UnicodeEncodeError, which is a ValueError.
    url.encode()
    if not url.isprintable() or " " in url:
        raise ValueError("must not contain spaces or control characters")
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("must be an http or https URL with a host")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password, because every client reads it")
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    # Escapes that are not UTF-8 must stay as different as they are.
    pairs = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
    kept = sorted(pair for pair in pairs if not _is_tracking(pair[0]))
    query = urlencode(kept, errors="surrogateescape")
    return urlunsplit(("", host.removeprefix("www.") + port, parts.path.rstrip("/"), query, ""))


def item_id(source: str, url_key: str) -> str:
    """Return the id of an item from its source and canonical URL: `rss_0f3c…`, 16 hexadecimal digits of SHA-256."""
    return f"{source}_{hashlib.sha256(url_key.encode()).hexdigest()[:16]}"


def _is_tracking(key: str) -> bool:
    lowered = key.lower()
    return lowered in _TRACKING_KEYS or lowered.startswith(_TRACKING_PREFIXES)
