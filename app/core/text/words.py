"""Define words and terms, and when a term occurs in a text. Filters, the term index and the vocabularies share these
rules.

A word is a maximal run of `\\w` after NFKC and casefold. A term is one or more consecutive words; a trailing `*` makes
its last word a prefix. In scripts without spaces between words, a term is a substring.

The signs + and # directly after a word can change what it names: C, C++ and C# are three languages. A term in which
such signs occur is compared with the words of the text and the signs after them. All other terms ignore signs.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

WORD = re.compile(r"\w+")
_SIGNS = ("+", "#")
_SIGNED_WORD = re.compile(r"\w+[+#]*")
# Most texts are ASCII apart from these marks, and none of the marks belongs to a word. Once they are replaced by
# spaces, a text can be split as ASCII, which is four times as fast.
_TYPOGRAPHIC = "‘’“”–—"
# The number of texts that are cached, and the maximum length of a cached text in characters. This covers the titles and
# contents of a few hundred items, in at most 20 MB.
_CACHED_TEXTS, _CACHED_LENGTH = 512, 2_000
_BREAKS = {code: " " for code in range(128) if not WORD.match(chr(code))}

# Thai, Lao, Myanmar, Khmer, kana and Han characters. These scripts have no spaces between words, so a run of \w is a
# whole sentence.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)


class Text(NamedTuple):
    """A text that is prepared for finding terms. `words` has its words in order, and `vocabulary` the same words as a
    set. `plain` is the whole normalized text; terms of scripts without spaces between words are found in it. `signed`
    has the words with the signs after them, and is empty if there are no such signs.
    """

    words: tuple[str, ...]
    vocabulary: frozenset[str]
    plain: str
    signed: tuple[str, ...] = ()


class Term(NamedTuple):
    """A term to look for in texts: either `words`, the last of which may be a prefix, or a `substring`. Exactly one of
    the two is non-empty.
    """

    words: tuple[str, ...]
    is_prefix: bool
    substring: str

    @property
    def is_signed(self) -> bool:
        """Return whether the words include signs, so that they are compared with the signed words of a text."""
        return any(word.endswith(_SIGNS) for word in self.words)


def normalize(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def tokenize(text: str) -> Text:
    """Return a text in the form in which terms are found. Texts of up to _CACHED_LENGTH characters are cached, because
    the same text is tokenized when an item is enriched, matched, and read back from the log.
    """
    return _tokenize_cached(text) if len(text) <= _CACHED_LENGTH else _tokenize(text)


def _tokenize(text: str) -> Text:
    plain = normalize(text)
    words = words_of(plain)
    return Text(words, frozenset(words), plain, signed_words_of(plain))


_tokenize_cached = lru_cache(_CACHED_TEXTS)(_tokenize)


def words_of(plain: str) -> tuple[str, ...]:
    """Return the words of a normalized text, in order."""
    spaced = plain
    if spaced.isascii() and spaced.isalnum():
        return (spaced,)
    if not spaced.isascii():
        for mark in _TYPOGRAPHIC:
            spaced = spaced.replace(mark, " ")
        if not spaced.isascii():
            return tuple(WORD.findall(plain))
    return tuple(spaced.translate(_BREAKS).split())


def signed_words_of(plain: str) -> tuple[str, ...]:
    """Return the words of a normalized text, each with the signs directly after it. Return () if no word has any."""
    if not any(sign in plain for sign in _SIGNS):
        return ()
    signed = tuple(_SIGNED_WORD.findall(plain))
    return signed if any(word.endswith(_SIGNS) for word in signed) else ()


def parse_term(phrase: str) -> Term | None:
    """Parse a keyword, feed name or person name. Return None for a phrase without a word character, because it can
    never be found.
    """
    plain = normalize(phrase).strip()
    stem = plain.rstrip("*").rstrip()
    if not stem.isascii() and UNSPACED.search(stem) and WORD.search(stem):
        return Term((), is_prefix=False, substring=stem)
    words = signed_words_of(plain) or words_of(plain)
    return Term(words, is_prefix=plain.endswith("*"), substring="") if words else None


def occurs_in(term: Term, text: Text) -> bool:
    """Return whether a term occurs in a text. Its words must follow one another there, and the last may be a prefix. If
    the term is a substring, the text must contain it.
    """
    if term.substring:
        return term.substring in text.plain
    words = text.signed if term.is_signed else text.words
    size = len(term.words)
    return any(_equals(term, words[start : start + size]) for start in range(len(words) - size + 1))


def _equals(term: Term, window: tuple[str, ...]) -> bool:
    if term.is_prefix:
        return window[:-1] == term.words[:-1] and window[-1].startswith(term.words[-1])
    return window == term.words


def handle_key(account: str) -> str:
    """Return the form in which handles are compared: "@Handle" and "handle" both become "handle"."""
    return normalize(account).strip().removeprefix("@")


def ticker_key(symbol: str) -> str:
    """Return the form in which tickers are compared: "$BTC", "#btc" and "btc" all become "btc"."""
    return normalize(symbol).strip().lstrip("$#")
