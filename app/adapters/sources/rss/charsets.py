"""Decode the bytes of a feed.

The order is that of RFC 7303: a byte order mark, the charset of the HTTP header, the XML declaration. What publishers
name there is often wrong, so a charset counts only if the bytes can be decoded with it. Otherwise it is detected.
"""

import codecs
import re
from contextlib import suppress

from charset_normalizer import from_bytes

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The beginnings of documents in UTF-16 and UTF-32 without a byte order mark.
_BEGINNINGS = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]{1,40})["']""", re.IGNORECASE)
# Browsers read the first charset as the second, because publishers mean it.
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030"}
# Python has these codecs, and none of them is a charset of the web.
_NOT_FOR_FEEDS = ("utf-7", "utf_7", "unicode_escape", "raw_unicode_escape", "idna", "punycode")
_ERRORS = "single-bytes-in-windows-1252"
_SAMPLE_BYTES = 64 * 1024
_LIKELY = [
    *("cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
]


def decode(body: bytes, http_charset: str = "") -> str:
    """Return the text of a document; `http_charset` is the charset of the HTTP header, "" if it has none. Bytes that no
    charset explains become U+FFFD.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body.decode(name, "replace")
    stripped = body.lstrip()
    for beginning, name in _BEGINNINGS:
        if stripped.startswith(beginning):
            return body.decode(name, "replace")
    declared = _DECLARED.match(body)
    named = [_codec(http_charset), _codec(declared[1].decode("ascii") if declared else ""), "utf-8"]
    if "utf-8" in named[:2] or _is_wide(named[0]):
        # Text in another charset is hardly ever valid UTF-8.
        named.insert(0, "utf-8")
    for name in filter(None, named):
        with suppress(UnicodeDecodeError):
            return body.decode(name)
    return _detected(body)


def _codec(name: str) -> str:
    """Return Python's name of the charset that a publisher means, or "" for an unknown one."""
    bare = name.strip().strip("\"'")
    try:
        # Fails for codecs that are none of text, such as base64.
        " ".encode(bare)
        found = codecs.lookup(bare).name
    except (LookupError, ValueError):
        return ""
    return "" if found in _NOT_FOR_FEEDS else _MEANT.get(found, found)


def _is_wide(name: str) -> bool:
    """Return whether every byte is valid in a charset, so that its name proves nothing."""
    return name in ("cp1252", "cp1254", "latin_1")


def _detected(body: bytes) -> str:
    """Decode bytes that are not in the charset that they name."""
    mixed = body.decode("utf-8", "replace")
    if 2 * _multibyte(mixed) > mixed.count("\ufffd"):
        # UTF-8 with single bytes of another charset in it, which are nearly always of this one.
        return body.decode("utf-8", _ERRORS)
    best = from_bytes(body[:_SAMPLE_BYTES], cp_isolation=_LIKELY, threshold=0.3).best()
    return body.decode(best.encoding if best else "cp1252", "replace")


def _multibyte(text: str) -> int:
    return sum(char > "\x7f" for char in text) - text.count("\ufffd")


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return wrong.decode("cp1252", "replace"), error.end


codecs.register_error(_ERRORS, _as_windows)
