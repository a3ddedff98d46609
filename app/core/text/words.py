"""What two equal words are. This file owns the text rules that filters, the index and the vocabularies share.

A word is a maximal run of `\\w` after NFKC and casefold. A term is one or more consecutive words; a trailing `*`
makes its last word a prefix. In scripts that put no spaces between words a term is a substring instead.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

WORD = re.compile(r"\w+")
# Most texts are ASCII but for these, and ASCII is parted four times as fast.
_TYPOGRAPHIC = "‘’“”–—"
# Titles and contents of some hundred items: at most 20 MB.
_CACHED_TEXTS, _CACHED_LENGTH = 512, 2_000
_BREAKS = {code: " " for code in range(128) if not WORD.match(chr(code))}

# Thai, Lao, Myanmar, Khmer, kana, Han: a run of \w there is a sentence, not a word.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)


class Text(NamedTuple):
    """A text as terms are looked for in it: its words, in order and as a set, and the whole of it for scripts without
    word spaces.
    """

    words: tuple[str, ...]
    vocabulary: frozenset[str]
    plain: str


class Term(NamedTuple):
    """Something to look for. Exactly one of `words` and `substring` is non-empty."""

    words: tuple[str, ...]
    is_prefix: bool
    substring: str


def normalize(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def tokenize(text: str) -> Text:
    """Read a text. What is not long is remembered a while: the same one is completed, matched, and read back."""
    return _tokenize_cached(text) if len(text) <= _CACHED_LENGTH else _tokenize(text)


def _tokenize(text: str) -> Text:
    plain = normalize(text)
    words = words_of(plain)
    return Text(words, frozenset(words), plain)


_tokenize_cached = lru_cache(_CACHED_TEXTS)(_tokenize)


def words_of(plain: str) -> tuple[str, ...]:
    """Give the words of a normalised text, in order."""
    spaced = plain
    if spaced.isascii() and spaced.isalnum():
        return (spaced,)
    if not spaced.isascii():
        for mark in _TYPOGRAPHIC:
            spaced = spaced.replace(mark, " ")
        if not spaced.isascii():
            return tuple(WORD.findall(plain))
    return tuple(spaced.translate(_BREAKS).split())


def parse_term(phrase: str) -> Term | None:
    """Read a keyword, feed or person name as a term; None when it has no letter or digit and so can never be found."""
    plain = normalize(phrase).strip()
    stem = plain.rstrip("*").rstrip()
    if not stem.isascii() and UNSPACED.search(stem) and WORD.search(stem):
        return Term((), is_prefix=False, substring=stem)
    words = words_of(plain)
    return Term(words, is_prefix=plain.endswith("*"), substring="") if words else None


def occurs_in(term: Term, text: Text) -> bool:
    """Say whether the term stands in the text: consecutive whole words, the last one perhaps only begun."""
    if term.substring:
        return term.substring in text.plain
    size = len(term.words)
    return any(_equals(term, text.words[start : start + size]) for start in range(len(text.words) - size + 1))


def _equals(term: Term, window: tuple[str, ...]) -> bool:
    if term.is_prefix:
        return window[:-1] == term.words[:-1] and window[-1].startswith(term.words[-1])
    return window == term.words


def handle_key(account: str) -> str:
    """Reduce an account to what two equal handles share: "@Handle" = "handle"."""
    return normalize(account).strip().removeprefix("@")


def ticker_key(symbol: str) -> str:
    """Reduce a symbol to what two equal tickers share: "$BTC" = "btc"."""
    return normalize(symbol).strip().lstrip("$#")
