"""The index of terms against the definition of when a term occurs in a text."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.core.text.term_index import TermIndex
from app.core.text.words import Term, occurs_in, parse_term, tokenize

phrases = st.text(alphabet="ab *+#利下", min_size=1, max_size=8)
texts = st.text(alphabet="ab +#利下", max_size=30)
# More places where a phrase may begin than a lookup walks one by one.
repetitive_texts = st.builds(lambda text: f"{text} " * 300, st.text(alphabet="ab 利下", min_size=1, max_size=8))


class TermsUnderChange(RuleBasedStateMachine):
    """Adds and removes terms, and looks up texts in between."""

    def __init__(self) -> None:
        super().__init__()
        self.index = TermIndex()
        self.listed: dict[int, Term] = {}

    @rule(slot=st.integers(0, 9), phrase=phrases)
    def add(self, slot: int, phrase: str) -> None:
        term = parse_term(phrase)
        self.discard(slot)
        if term is not None:
            self.index.add(term, slot)
            self.listed[slot] = term

    @rule(slot=st.integers(0, 9))
    def discard(self, slot: int) -> None:
        if slot in self.listed:
            self.index.discard(self.listed.pop(slot), slot)

    @rule(plain=texts | repetitive_texts)
    def lookup(self, plain: str) -> None:
        text = tokenize(plain)

        found = {slot for slots in self.index.lookup(text) for slot in slots}

        assert found == {slot for slot, term in self.listed.items() if occurs_in(term, text)}

    @invariant()
    def every_distinct_term_is_counted(self) -> None:
        assert len(self.index) == len(set(self.listed.values()))


TestTermsUnderChange = TermsUnderChange.TestCase


def test_every_lookup_finds_a_posting_list_once() -> None:
    index = TermIndex()
    for slot, phrase in enumerate(("a*", "a b*", "a b", "b", "利下", "利")):
        term = parse_term(phrase)
        assert term is not None
        index.add(term, slot)

    found = index.lookup(tokenize("a b bb ab aa 利下 利 " * 300))

    assert sorted(slot for slots in found for slot in slots) == [0, 1, 2, 3, 4, 5]


def test_terms_with_common_words_are_removed_singly() -> None:
    index = TermIndex()
    phrases = ("a be*", "a be*", "a bi*", "a b*", "best*", "besti*", "be*", "be*", "bi*", "a b", "a b")
    terms = [term for phrase in phrases if (term := parse_term(phrase)) is not None]
    for slot, term in enumerate(terms):
        index.add(term, slot)
    text = tokenize("a bestial a bit a b")

    for removed, term in enumerate(terms):
        found = {slot for slots in index.lookup(text) for slot in slots}
        assert found == set(range(removed, len(terms)))
        index.discard(term, removed)

    assert len(index) == 0
    assert index.lookup(text) == []
