"""Canonical URLs and item ids. Links that differ only in irrelevant parts, such as tracking parameters, get the same
key. So an item that is published twice is stored once.
"""

import hashlib
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MAX_URL_LENGTH = 2048

# Query parameters that serve the publisher's statistics and do not change the page.
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
    """Return the key of a link, which is equal for links that differ only in irrelevant parts. Its host is in lower
    case. A default port and tracking parameters are dropped, and the other parameters are sorted.

    The scheme, a leading `www.`, trailing slashes and the fragment are dropped too, because they do not tell two
    stories apart. So the result is only a key, and not a URL that can be opened. Recent results are cached, because an
    item's link is first checked and then used.

    Raises ValueError if the URL is not http or https, has an invalid port or no host, or contains a user name, a
    password, spaces, control characters or lone surrogates.
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
    # Percent-escapes that are not UTF-8 keep their bytes, so that different ones do not become equal.
    pairs = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
    kept = sorted(pair for pair in pairs if not _is_tracking(pair[0]))
    query = urlencode(kept, errors="surrogateescape")
    return urlunsplit(("", host.removeprefix("www.") + port, parts.path.rstrip("/"), query, ""))


def item_id(source: str, url_key: str) -> str:
    """Return the id of an item: its source and 16 hexadecimal digits of the SHA-256 of its canonical URL, for example
    `rss_0f3c…`.
    """
    return f"{source}_{hashlib.sha256(url_key.encode()).hexdigest()[:16]}"


def _is_tracking(key: str) -> bool:
    lowered = key.lower()
    return lowered in _TRACKING_KEYS or lowered.startswith(_TRACKING_PREFIXES)
