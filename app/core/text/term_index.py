"""An inverted index from terms to the slots that listed them. A slot is a small integer: it stands for a filter in the
filter index, and for an entry in a `Vocabulary`.

The cost of a lookup is bounded by the length of the text, not by the number of terms: whatever users list, no text is
expensive. Single words are found by one set intersection. Prefixes are found by slices of the text's words. Phrases,
and substrings in scripts without spaces between words, are found by walking down a trie. Each kind of term has its own
table, and an empty table costs almost nothing. Terms with signs, such as C++, are in an index of their own, because
they are compared with other words of the text.
"""

from collections.abc import Sized
from typing import Any, Protocol

from pyroaring import BitMap

from app.core.text.phrase_trie import Phrase, PhraseTrie
from app.core.text.postings import PostingLists
from app.core.text.prefix_index import PrefixIndex
from app.core.text.words import Term, Text


class IndexTable(Protocol):
    """The interface of `PostingLists`, `PrefixIndex`, `PhraseTrie` and `TermIndex`: a table that maps keys to slots."""

    # Any, because each table has its own type of key. Callers, such as `TermIndex._table_and_key`, pair each key with
    # the table for its type.
    def add(self, key: Any, slot: int, /) -> object: ...  # noqa: ANN401

    def discard(self, key: Any, slot: int, /) -> object: ...  # noqa: ANN401


class TermIndex:
    """The index of all kinds of terms. `len` is the number of distinct terms."""

    __slots__ = ("_characters", "_plain", "_signed", "_substrings")

    def __init__(self) -> None:
        self._plain = _WordsIndex()
        self._signed = _WordsIndex()
        self._characters: PostingLists[str] = PostingLists()
        self._substrings = PhraseTrie()

    def __len__(self) -> int:
        tables: tuple[Sized, ...] = (self._plain, self._signed, self._characters, self._substrings)
        return sum(map(len, tables))

    def add(self, term: Term, slot: int) -> None:
        table, key = self._table_and_key(term)
        table.add(key, slot)

    def discard(self, term: Term, slot: int) -> None:
        table, key = self._table_and_key(term)
        table.discard(key, slot)

    def _table_and_key(self, term: Term) -> tuple[IndexTable, str | Phrase]:
        if term.substring:
            is_one = len(term.substring) == 1
            return (self._characters, term.substring) if is_one else (self._substrings, Phrase(term.substring))
        return (self._signed if term.is_signed else self._plain).table_and_key(term)

    def lookup(self, text: Text) -> list[BitMap]:
        """Return the posting list of every indexed term that occurs in a text."""
        return [
            *self._plain.lookup(text.words, text.vocabulary),
            *(self._signed.lookup(text.signed, frozenset(text.signed)) if text.signed and self._signed else ()),
            *(self._characters.lookup(set(text.plain)) if self._characters else ()),
            *self._substrings.lookup(text.plain),
        ]


class _WordsIndex:
    """The index of the terms that consist of words, either without signs or with the signs after them."""

    __slots__ = ("_phrases", "_prefixes", "_words")

    def __init__(self) -> None:
        self._words: PostingLists[str] = PostingLists()
        self._prefixes = PrefixIndex()
        self._phrases = PhraseTrie()

    def __len__(self) -> int:
        return len(self._words) + len(self._prefixes) + len(self._phrases)

    def table_and_key(self, term: Term) -> tuple[IndexTable, str | Phrase]:
        if len(term.words) == 1:
            return (self._prefixes if term.is_prefix else self._words), term.words[0]
        return self._phrases, Phrase(term.words[:-1], term.words[-1]) if term.is_prefix else Phrase(term.words)

    def lookup(self, words: tuple[str, ...], vocabulary: frozenset[str]) -> list[BitMap]:
        """Return the posting list of every term that occurs in these consecutive words, which `vocabulary` has as a
        set.
        """
        return [
            *self._words.lookup(self._words.postings.keys() & vocabulary),
            *(self._prefixes.lookup(vocabulary) if self._prefixes else ()),
            *self._phrases.lookup(words),
        ]
