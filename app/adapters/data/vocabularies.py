"""Load the bundled files in app/data: the vocabularies (TOML) and the sample items (NDJSON)."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from app.core.news.enrichment import Vocabularies
from app.core.news.entities import CategoryRule, EntryKind, Vocabulary, VocabularyEntry


@cache
def load_vocabularies() -> Vocabularies:
    """Return all vocabularies; their files are read only once. The error of a malformed file is not handled, because
    such a file is a bug of the release.
    """
    categories = _toml("categories.toml")
    rule = CategoryRule(categories.pop("threshold"), categories.pop("margin"))
    signals = _toml("signals.toml")
    entries = [
        *(_pointed(EntryKind.CATEGORY, label, table) for label, table in categories.items()),
        *(_named(EntryKind.TICKER, table) for table in _toml("tickers.toml").values()),
        _people(_toml("people.toml")["people"]),
        _pointed(EntryKind.IMPACT, "", signals["impact"]),
        _pointed(EntryKind.RELEVANCE, "", signals["relevance"]),
        _named(EntryKind.TAG, signals["tags"]),
    ]
    vocabulary = Vocabulary(entry for table in entries for entry in table)
    sources = Vocabulary(_pointed(EntryKind.IMPACT, "", _toml("sources.toml")["authority"]))
    return Vocabularies(vocabulary, sources, rule)


def load_sample_wire() -> list[dict[str, object]]:
    """Return the sample items in the form that a publisher sends, but without `published_at`, which SampleWire adds."""
    lines = (resources.files("app") / "data" / "sample_wire.ndjson").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=dict[str, object]) for line in lines]


def _pointed(kind: EntryKind, label: str, table: Mapping[str, list[str]]) -> Iterator[VocabularyEntry]:
    """Yield an entry for each term of a table that maps a number of points to a list of terms. If `label` is empty,
    each term is its own label.
    """
    for points, terms in table.items():
        for term in terms:
            yield VocabularyEntry(term, kind, label or term, float(points))


def _named(kind: EntryKind, table: Mapping[str, list[str]]) -> Iterator[VocabularyEntry]:
    for label, terms in table.items():
        for term in terms:
            yield VocabularyEntry(term, kind, label, 0.0)


def _people(table: Mapping[str, Mapping[str, Any]]) -> Iterator[VocabularyEntry]:
    for name, person in table.items():
        for term in person["names"]:
            yield VocabularyEntry(term, EntryKind.PERSON, name, float(person["weight"]))


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("app") / "data" / name).read_text())
