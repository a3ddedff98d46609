"""What a token lets its bearer see: the claim `ent`, how it is parsed, and which items it allows.

It applies beside every filter of the user and is never part of one: the user decides what is wanted, the signer what is
allowed. A missing key restricts nothing, an empty list allows nothing, and an unknown key is refused
(docs/decisions/0013).
"""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.news.item import Category, Source
from app.core.text.words import Term, handle_key, parse_term
from app.core.validation import fields

_MAX_ENTRIES = 200
_LONGEST_DELAY_S = 24 * 3600.0

_Names = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=_MAX_ENTRIES)]


class _Claim(msgspec.Struct, frozen=True):
    """The claim as it is signed."""

    categories: _Names | None = None
    sources: _Names | None = None
    max_channels: Annotated[int, Meta(ge=1)] | None = None
    min_delay_s: Annotated[float, Meta(ge=0, le=_LONGEST_DELAY_S)] = 0.0


class AllowedSources(NamedTuple):
    """Sources in the form that is compared: whole kinds, Nitter accounts, and names that an RSS
    feed's name contains.
    """

    kinds: frozenset[str]
    handles: frozenset[str]
    feeds: frozenset[Term]


class Entitlement(NamedTuple):
    """What a user may see; None means everything. Items are visible `min_delay_s` after they were accepted."""

    categories: frozenset[str] | None = None
    sources: AllowedSources | None = None
    max_channels: int | None = None
    min_delay_s: float = 0.0

    @property
    def hides_items(self) -> bool:
        """Return whether there are items that the user may not see, ever or yet."""
        return self.categories is not None or self.sources is not None or self.min_delay_s > 0

    def is_due(self, accepted_at: float, now: float) -> bool:
        """Return whether the user may see by `now` what was accepted at a time (both Unix seconds)."""
        return accepted_at + self.min_delay_s <= now

    def max_channels_within(self, most: int) -> int:
        """Return how many channels a connection of the user may have if the server allows `most`."""
        return most if self.max_channels is None else min(most, self.max_channels)


UNRESTRICTED = Entitlement()
"""The entitlement of a token without the claim, and of every caller of a server that requires no tokens."""


def parse_entitlement(claim: object) -> Entitlement:
    """Parse the claim `ent` of a verified token. Raises ClientError(UNAUTHORIZED) naming every wrong field."""
    if not isinstance(claim, Mapping):
        raise _refused((FieldError("/ent", "must be an object"),))
    try:
        parsed = fields.convert(claim, _Claim, "/ent")
    except fields.InvalidFields as error:
        raise _refused(error.errors) from None
    errors = (*_unknown(claim), *_bad_categories(parsed.categories or ()))
    if errors:
        raise _refused(errors)
    return Entitlement(
        categories=None if parsed.categories is None else frozenset(map(str.casefold, parsed.categories)),
        sources=None if parsed.sources is None else _read_sources(parsed.sources),
        max_channels=parsed.max_channels,
        min_delay_s=parsed.min_delay_s,
    )


def _read_sources(names: tuple[str, ...]) -> AllowedSources:
    """Split names into "rss" and "nitter", accounts ("@reuters"), and all others, which are feeds."""
    kinds = frozenset(names) & frozenset(Source)
    handles = frozenset(handle_key(name) for name in names if name.startswith("@"))
    feeds = (parse_term(name) for name in names if name not in kinds and not name.startswith("@"))
    return AllowedSources(kinds, handles, frozenset(term for term in feeds if term is not None))


def _unknown(claim: Mapping[str, object]) -> list[FieldError]:
    return [
        FieldError(bad.pointer, "unknown key: a restriction that is not known cannot be enforced")
        for bad in fields.unknown_keys(claim, _Claim, "/ent")
    ]


def _bad_categories(names: tuple[str, ...]) -> list[FieldError]:
    must_be = f"must be one of {', '.join(Category)}"
    known = set(Category)
    return [
        FieldError(f"/ent/categories/{position}", must_be)
        for position, name in enumerate(names)
        if name.casefold() not in known
    ]


def _refused(errors: tuple[FieldError, ...]) -> ClientError:
    return ClientError(ErrorCode.UNAUTHORIZED, "The token's claim ent is not valid", fields=errors)
