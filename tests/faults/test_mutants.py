"""Planted bugs are planted where they are meant to be."""

import pytest

from tests.faults.mutants import has_place
from tests.faults.planted import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
def test_every_planted_bug_has_its_place(mutant: Mutant) -> None:
    assert has_place(mutant)
