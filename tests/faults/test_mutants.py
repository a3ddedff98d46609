"""Every mutant applies to today's code."""

import pytest

from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.run_mutants import has_place


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
def test_every_mutant_applies(mutant: Mutant) -> None:
    assert has_place(mutant)
