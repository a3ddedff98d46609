"""What a filter means, written independently of the app from docs/filters.md: plain dictionaries, plain loops.

Journeys compare what clients received with what this module expects. It must never import `app`.
"""

import re
import unicodedata
from typing import Any

UNSPACED = [
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0x20000, 0x3FFFF),
]


def wants(filters: dict[str, Any], item: dict[str, Any]) -> bool:
    """Return whether a filter, as a client writes it, matches an item, as a client receives it."""
    if item["impact_score"] < filters.get("impact_threshold", 70):
        return False
    categories = [name.lower() for name in filters.get("categories", [])]
    if categories and item["category"] not in categories:
        return False
    if not _source(filters, item):
        return False
    return _text(filters, item) and not _excluded(filters.get("exclude", {}), item)


def _source(filters: dict[str, Any], item: dict[str, Any]) -> bool:
    accounts, feeds = filters.get("nitter_accounts", []), filters.get("rss_feeds", [])
    mine = accounts if item["source"] == "nitter" else feeds
    if mine:
        return _from(item, accounts, feeds)
    return not (filters.get("sources_strict", False) and (accounts or feeds))


def _from(item: dict[str, Any], accounts: list[str], feeds: list[str]) -> bool:
    if item["source"] == "nitter":
        return any(_handle(name) == _handle(item["source_account"]) for name in accounts)
    return any(found(name, item["source_account"]) for name in feeds)


def _text(filters: dict[str, Any], item: dict[str, Any]) -> bool:
    if filters.get("keywords") and not _keyword(filters["keywords"], item):
        return False
    if filters.get("tickers") and not _ticker(filters["tickers"], item):
        return False
    return not filters.get("people") or _person(filters["people"], item)


def _excluded(exclude: dict[str, Any], item: dict[str, Any]) -> bool:
    return (
        item["category"] in [name.lower() for name in exclude.get("categories", [])]
        or _from(item, exclude.get("nitter_accounts", []), exclude.get("rss_feeds", []))
        or _keyword(exclude.get("keywords", []), item)
        or _ticker(exclude.get("tickers", []), item)
        or _person(exclude.get("people", []), item)
    )


def _keyword(keywords: list[str], item: dict[str, Any]) -> bool:
    return any(found(word, item["title"]) or found(word, item["content"]) or _ticker([word], item) for word in keywords)


def _ticker(names: list[str], item: dict[str, Any]) -> bool:
    return any(_symbol(name) == _symbol(ticker) for name in names for ticker in item["tickers"])


def _person(names: list[str], item: dict[str, Any]) -> bool:
    return any(found(name, person) for name in names for person in item["people"])


def found(phrase: str, text: str) -> bool:
    """Return whether a term occurs: whole consecutive words; a trailing * makes the last one a prefix; a substring in
    scripts without spaces.
    """
    sought, body = _fold(phrase).strip(), _fold(text)
    parts = re.findall(r"\w+", sought)
    if not parts:
        return False
    if any(low <= ord(char) <= high for char in sought for low, high in UNSPACED):
        return sought.rstrip("*").rstrip() in body
    if re.search(r"\w[+#]", sought):
        return _found_with_signs(sought, body)
    end = r"\w*" if sought.endswith("*") else ""
    pattern = r"(?<!\w)" + r"\W+".join(map(re.escape, parts)) + end + r"(?!\w)"
    return re.search(pattern, body) is not None


def _found_with_signs(sought: str, body: str) -> bool:
    """Return whether the words of a term, each with exactly the signs behind it, follow one another in a text."""
    parts = [re.escape(part) + ("" if part[-1] in "+#" else r"(?!\w)") for part in re.findall(r"\w+[+#]*", sought)]
    last = re.findall(r"\w+[+#]*", sought)[-1]
    parts[-1] = re.escape(last) if sought.endswith("*") else parts[-1] + "(?![+#])"
    return re.search(r"(?<!\w)" + r"(?![+#])\W*".join(parts), body) is not None


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _handle(name: str) -> str:
    return re.sub("^@", "", _fold(name).strip())


def _symbol(name: str) -> str:
    return re.sub("^[$#]+", "", _fold(name).strip())
