"""An inverted index from terms to the slots that listed them. A slot is a small integer: it stands for a filter in the
filter index, and for an entry in a `Vocabulary`.

The cost of a lookup depends on the length of the text, not on the number of terms. Single words are found by one set
intersection. A phrase is found by its first two words, or by its first word if its last word is a prefix. A substring,
in a script without spaces between words, is found by its first two characters. A slice of a text is looked up only if
it begins with these words or characters of a listed phrase or substring and has the same length. Each kind of term has
its own table, and an empty table costs almost nothing.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sized
from typing import Any, Generic, Protocol, TypeVar

from pyroaring import BitMap

from app.core.text.words import Term, Text

Key = TypeVar("Key", bound=Hashable)
Units = tuple[str, ...] | str
"""The units of a phrase: a tuple of words, or a string whose units are its characters."""

# The number of letters in the head of a prefix. Few words of a text begin with the head of a listed prefix, so heads
# are looked up first, and whole prefixes only for these words.
_HEAD = 3


class IndexTable(Protocol):
    """A table that maps keys to slots. `PostingLists`, `TermIndex` and the private indexes of this module have this
    interface.
    """

    # Any, because each table has its own type of key. Callers, such as `TermIndex._table_and_key`, pair each key with
    # the table for its type.
    def add(self, key: Any, slot: int, /) -> object: ...  # noqa: ANN401

    def discard(self, key: Any, slot: int, /) -> object: ...  # noqa: ANN401


class PostingLists(Generic[Key]):
    """A map from each key to its posting list, which holds the slots that listed the key. A list that becomes empty is
    deleted, so that memory does not grow as slots come and go.
    """

    __slots__ = ("postings",)

    def __init__(self) -> None:
        self.postings: dict[Key, BitMap] = {}

    def __len__(self) -> int:
        return len(self.postings)

    def add(self, key: Key, slot: int) -> bool:
        """Add a slot to the posting list of a key; return whether the key is new."""
        slots = self.postings.get(key)
        if slots is None:
            self.postings[key] = BitMap((slot,))
            return True
        slots.add(slot)
        return False

    def discard(self, key: Key, slot: int) -> bool:
        """Remove a slot from a key's posting list; return whether the list became empty and the key was deleted. Raises
        KeyError for an unknown key.
        """
        slots = self.postings[key]
        slots.discard(slot)
        if slots:
            return False
        del self.postings[key]
        return True

    def lookup(self, keys: Iterable[Key]) -> list[BitMap]:
        """Return the posting lists of those keys that are in the map. The caller must not change the lists, because
        they are not copies.
        """
        return [slots for key in keys if (slots := self.postings.get(key)) is not None]


class _PhraseIndex:
    """An index of phrases of two or more units (words or characters). A slice of a text is looked up only if it begins
    with the same two units as a listed phrase and has the same length.
    """

    __slots__ = ("_firsts", "_lengths", "_longest", "_slots")

    def __init__(self) -> None:
        self._slots: PostingLists[Units] = PostingLists()
        self._firsts: Counter[str] = Counter()
        self._lengths: dict[Units, Counter[int]] = {}
        # The length of the longest phrase ever added; removals do not lower it. A slice of a text that has this length
        # contains every listed phrase that starts where the slice starts.
        self._longest = 0

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, run: Units, slot: int) -> None:
        if self._slots.add(run, slot):
            self._firsts[run[0]] += 1
            self._lengths.setdefault(run[:2], Counter())[len(run)] += 1
            self._longest = max(self._longest, len(run))

    def discard(self, run: Units, slot: int) -> None:
        if self._slots.discard(run, slot):
            self._firsts[run[0]] -= 1
            if not self._firsts[run[0]]:
                del self._firsts[run[0]]
            lengths = self._lengths[run[:2]]
            lengths[len(run)] -= 1
            if not lengths[len(run)]:
                del lengths[len(run)]
            if not lengths:
                del self._lengths[run[:2]]

    def lookup(self, units: Units) -> list[BitMap]:
        firsts, lengths = self._firsts, self._lengths
        if not firsts:
            return []
        # A set, so that equal slices of the text are looked up once. Otherwise a text that repeats itself would cost
        # its length times the number of phrase lengths.
        windows = {
            units[start : start + self._longest]
            for start, unit in enumerate(units)
            if unit in firsts and units[start : start + 2] in lengths
        }
        return self._slots.lookup({window[:length] for window in windows for length in lengths[window[:2]]})


class _PrefixIndex:
    """An index of terms that are a prefix of one word: the term "fed*" is stored as "fed"."""

    __slots__ = ("_head_sizes", "_sizes", "_slots")

    def __init__(self) -> None:
        self._slots: PostingLists[str] = PostingLists()
        # The head of a prefix is its first _HEAD letters, or all of a shorter prefix. `_sizes` counts, for each head,
        # the listed prefixes by length; `_head_sizes` counts all listed prefixes by the length of their head.
        self._sizes: dict[str, Counter[int]] = {}
        self._head_sizes: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, stem: str, slot: int) -> None:
        if self._slots.add(stem, slot):
            self._sizes.setdefault(stem[:_HEAD], Counter())[len(stem)] += 1
            self._head_sizes[min(len(stem), _HEAD)] += 1

    def discard(self, stem: str, slot: int) -> None:
        if self._slots.discard(stem, slot):
            head = stem[:_HEAD]
            self._sizes[head][len(stem)] -= 1
            self._sizes[head] = +self._sizes[head]
            if not self._sizes[head]:
                del self._sizes[head]
            self._head_sizes[len(head)] -= 1
            self._head_sizes = +self._head_sizes

    def lookup(self, vocabulary: frozenset[str]) -> list[BitMap]:
        sizes = self._sizes
        # If the word is shorter than `size`, the slice is the whole word. That is no false match: a word is a prefix of
        # itself.
        stems = {
            word[:size]
            for head_size in self._head_sizes
            for word in vocabulary
            if (head := word[:head_size]) in sizes
            for size in sizes[head]
        }
        return self._slots.lookup(self._slots.postings.keys() & stems) if stems else []


class _PrefixPhraseIndex:
    """An index of phrases whose last word is a prefix: the term "rate cut*" is stored as ("rate", "cut")."""

    __slots__ = ("_head_sizes", "_slots", "_tail_sizes")

    def __init__(self) -> None:
        self._slots: PostingLists[tuple[str, ...]] = PostingLists()
        self._head_sizes: dict[str, Counter[int]] = {}
        self._tail_sizes: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, words: tuple[str, ...], slot: int) -> None:
        if self._slots.add(words, slot):
            self._head_sizes.setdefault(words[0], Counter())[len(words)] += 1
            self._tail_sizes[len(words[-1])] += 1

    def discard(self, words: tuple[str, ...], slot: int) -> None:
        if self._slots.discard(words, slot):
            sizes = self._head_sizes[words[0]]
            sizes[len(words)] -= 1
            self._tail_sizes[len(words[-1])] -= 1
            self._head_sizes[words[0]] = +sizes
            self._tail_sizes = +self._tail_sizes
            if not self._head_sizes[words[0]]:
                del self._head_sizes[words[0]]

    def lookup(self, text: Text) -> list[BitMap]:
        if self._head_sizes.keys().isdisjoint(text.vocabulary):
            return []
        return self._slots.lookup(
            {
                (*head, last[:size])
                for head, last in self._windows(text.words)
                for size in self._tail_sizes
                if size <= len(last)
            }
        )

    def _windows(self, words: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], str]]:
        """Yield each run of words in a text that starts with the first word of a listed phrase and has as many words as
        that phrase. A run is yielded as a pair: all of its words but the last, and the last word.
        """
        heads = self._head_sizes
        for start, word in enumerate(words):
            if word in heads:
                for size in heads[word]:
                    end = start + size - 1
                    if end < len(words):
                        yield words[start:end], words[end]


class TermIndex:
    """The inverted index: it maps each term to the slots that listed the term. `len` is the number
    of distinct terms.
    """

    __slots__ = ("_begun", "_begun_phrases", "_characters", "_phrases", "_substrings", "_words")

    def __init__(self) -> None:
        self._words: PostingLists[str] = PostingLists()
        self._phrases = _PhraseIndex()
        self._begun = _PrefixIndex()
        self._begun_phrases = _PrefixPhraseIndex()
        self._characters: PostingLists[str] = PostingLists()
        self._substrings = _PhraseIndex()

    def __len__(self) -> int:
        by_words: tuple[Sized, ...] = (self._words, self._phrases, self._begun, self._begun_phrases)
        return sum(map(len, (*by_words, self._characters, self._substrings)))

    def add(self, term: Term, slot: int) -> None:
        table, key = self._table_and_key(term)
        table.add(key, slot)

    def discard(self, term: Term, slot: int) -> None:
        table, key = self._table_and_key(term)
        table.discard(key, slot)

    def _table_and_key(self, term: Term) -> tuple[IndexTable, Units]:
        if term.substring:
            return (self._characters if len(term.substring) == 1 else self._substrings), term.substring
        if len(term.words) == 1:
            return (self._begun if term.is_prefix else self._words), term.words[0]
        return (self._begun_phrases if term.is_prefix else self._phrases), term.words

    def lookup(self, text: Text) -> list[BitMap]:
        """Return the posting list of every indexed term that occurs in a text."""
        return [
            *self._words.lookup(self._words.postings.keys() & text.vocabulary),
            *self._phrases.lookup(text.words),
            *self._begun.lookup(text.vocabulary),
            *self._begun_phrases.lookup(text),
            *(self._characters.lookup(set(text.plain)) if self._characters else ()),
            *self._substrings.lookup(text.plain),
        ]
