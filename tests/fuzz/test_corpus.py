"""Every input of the corpus is answered as its callers expect."""

from pathlib import Path

import pytest

from tests.fuzz.targets import CORPUS, TARGETS

FILES = sorted(file for file in CORPUS.glob("*/*") if file.is_file())


def test_every_target_has_a_corpus() -> None:
    assert {file.parent.name for file in FILES} == set(TARGETS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_input_raises_nothing_unexpected(file: Path) -> None:
    TARGETS[file.parent.name].call(file.read_bytes())
