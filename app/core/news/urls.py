"""Links: their canonical form, which is a key, and how the links of feeds are resolved.

Links that differ only in irrelevant parts, such as tracking parameters, get the same key. So an item that is published
twice is stored once.
"""

import hashlib
import html
import re
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit, urlunsplit

MAX_URL_LENGTH = 2048

# Query parameters that serve the publisher's statistics, or the session of one visitor, and do not change the page.
_TRACKING_PREFIXES = (
    *("utm_", "at_", "mc_", "_hs", "hsa_", "ns_", "pk_", "mtm_", "matomo_", "piwik_", "cx_", "wt_", "wt.", "soc_"),
    *("guce_", "fb_", "oly_", "vero_", "aspsessionid", "amp_"),
)
_TRACKING_KEYS = frozenset(
    """
    fbclid gclid gclsrc gbraid wbraid dclid msclkid yclid ymclid ttclid twclid li_fat_id epik rb_clickid s_kwcid ef_id
    igshid igsh ig_rid mkt_tok srsltid srnd sref sr_share smid si _ga _gl _openstat _branch_match_id dicbo spm
    cmpid cmp ncid icid ocid intcmp int_campaign sc_cid s_cid mbid bxid cndid esrc recip tpcc trk trkcampaign
    campaign campaign_id ref_src ref_url taid partner emc ito ftag xtor xtref feedtype feedname rssfeed traffic_source
    guccounter
    leadsource referringsource sharetype shareid __twitter_impression outputtype zanpid wkey ved usg
    phpsessid jsessionid sessionid session_id cfid cftoken
    """.split()
)
# These parameters may name the story as well as the way to it. They are dropped only if their value is one of the ways.
_WAY_KEYS = frozenset(
    "ref src source via cid mod rss medium channel from share referrer referer origin amp feed".split()
)
_WAYS = re.compile(
    r"(?:rss|feed|atom|amp|web|app|push|mobile|email|mail|newsletter|social|share|copylink|home|hp|news|google|facebook|"
    r"fb|twitter|tw|x|bsky|threads|instagram|ig|linkedin|reddit|telegram|whatsapp|flipboard|yahoo|msn|bing|mw|djem)"
    r"(?:[^a-z0-9].*|s)?"
)
# These are dropped also if they are only set.
_FLAGS = frozenset(("rss", "amp", "feed"))
# What Twitter adds to a shared link.
_SHARED = ("s", frozenset(("09", "12", "19", "20", "21", "46")))
_SESSION_ID = re.compile(r"[0-9a-z]{20,}", re.IGNORECASE)
_PATH_SESSION = re.compile(r";jsessionid=[^/]*", re.IGNORECASE)
_AMP_CACHE = re.compile(r"(?:www\.)?google\.[a-z.]+/amp/(?:s/)?|[^/]+\.cdn\.ampproject\.org/[cv]/(?:s/)?")
_AMP_PATH = re.compile(r"^/amp(?=/.)|(?<=[^/])/amp(?:\.html?)?/?$|\.amp(?=\.html?$|/?$)")
_OTHER_HOSTS = re.compile(r"^(?:www|m|mobile|amp)\.(?=[^.]+\.)|(?<=\.)m\.(?=[^.]+\.)")
_TRACKING_FRAGMENT = re.compile(r"m|comments?|respond|more|top|.*(?:utm_|xtor=|ref=|rss|echobox).*", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def canonical(url: str) -> str:
    """Return the key of a link, which is equal for links that differ only in irrelevant parts. Its host is in lower
    case. A default port and tracking parameters are dropped, and the other parameters are sorted. The forms of a page
    for mobile devices and for AMP have the key of the page.

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
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("must be an http or https URL with a host")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password, because every client reads it")
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    address, cached = f"{parts.hostname}{port}{parts.path}", ""
    if cache := _AMP_CACHE.match(address):
        address, cached = address[cache.end() :], "/"
    host, _, path = address.partition("/")
    host = _OTHER_HOSTS.sub("", host) if "." in host else host
    path = _AMP_PATH.sub("", _PATH_SESSION.sub("", f"/{path}" if path or cached else "")).rstrip("/")
    return urlunsplit(("", host, path, _kept_query(parts.query), ""))


def _kept_query(query: str) -> str:
    # Percent-escapes that are not UTF-8 keep their bytes, so that different ones do not become equal.
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    kept = sorted(pair for pair in pairs if not _is_tracking(*pair))
    return urlencode(kept, errors="surrogateescape")


def _is_tracking(key: str, value: str) -> bool:
    lowered = key.lower()
    if lowered in _TRACKING_KEYS or lowered.startswith(_TRACKING_PREFIXES):
        return True
    if lowered in _FLAGS and value in ("", "1", "true"):
        return True
    if lowered in _WAY_KEYS:
        return _WAYS.fullmatch(value.lower()) is not None
    if lowered == "sid":
        return _SESSION_ID.fullmatch(value) is not None
    return lowered == _SHARED[0] and value in _SHARED[1]


def canonical_with_fragment(url: str) -> str:
    """Return the key of a link, with its fragment unless that only serves statistics. Entries of a live blog differ
    only in the fragment. Raises ValueError as `canonical` does.
    """
    fragment = urlsplit(url).fragment
    is_irrelevant = not fragment or _TRACKING_FRAGMENT.fullmatch(fragment)
    return canonical(url) if is_irrelevant else f"{canonical(url)}#{unquote(fragment)}"


def resolve(link: str, base: str) -> str:
    """Return a link of a feed as an absolute URL, relative to a base. What publishers write is kept, except that line
    breaks are removed and spaces escaped.
    """
    cleaned = "".join(char for char in html.unescape(link) if char.isprintable()).strip().replace(" ", "%20")
    if cleaned.startswith("www."):
        return f"https://{cleaned}"
    try:
        return urljoin(base, cleaned)
    except ValueError:
        # A host in brackets that is no IPv6 address.
        return cleaned


def item_id(source: str, url_key: str) -> str:
    """Return the id of an item: its source and 16 hexadecimal digits of the SHA-256 of its canonical URL, for example
    `rss_0f3c…`.
    """
    return f"{source}_{hashlib.sha256(url_key.encode()).hexdigest()[:16]}"
