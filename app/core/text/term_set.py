"""A set of terms that is compared with one text after another."""

from collections.abc import Iterable, Iterator

from app.core.text.term_index import TermIndex
from app.core.text.words import Term, Text


class TermSet:
    """A set of terms, for which `any_occurs_in` is fast whatever the number of terms. It is immutable, and equal to
    another set with the same terms.

    The index that makes it fast is built at the first use: most sets are entered into a filter index and never compared
    with a text by themselves.
    """

    __slots__ = ("_index", "_terms")

    def __init__(self, terms: Iterable[Term] = ()) -> None:
        self._terms = frozenset(terms)
        self._index: TermIndex | None = None

    def __len__(self) -> int:
        return len(self._terms)

    def __iter__(self) -> Iterator[Term]:
        return iter(self._terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TermSet) and self._terms == other._terms

    def __hash__(self) -> int:
        return hash(self._terms)

    def any_occurs_in(self, text: Text) -> bool:
        """Return whether at least one of the terms occurs in a text."""
        if not self._terms:
            return False
        if self._index is None:
            self._index = TermIndex()
            for term in self._terms:
                self._index.add(term, 0)
        return bool(self._index.lookup(text))
