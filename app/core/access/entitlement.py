"""What a token lets its bearer see. This file owns the claim `ent`: how it is read, and what it admits.

It stands beside every filter of the bearer, never in it: what a user wants is his, what he may see is the signer's. A
key that is left out keeps nothing from him, an empty list everything, and a key that nobody here knows is refused
(docs/decisions/0015).
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
    """Sources, ready to compare: whole kinds, Nitter accounts, names that an RSS feed's name contains."""

    kinds: frozenset[str]
    handles: frozenset[str]
    feeds: frozenset[Term]


class Entitlement(NamedTuple):
    """What a bearer may see; None: whatever there is. He sees it `min_delay_s` after it was accepted."""

    categories: frozenset[str] | None = None
    sources: AllowedSources | None = None
    max_channels: int | None = None
    min_delay_s: float = 0.0

    @property
    def hides_items(self) -> bool:
        """Say whether there is anything that the bearer may not see, ever or yet."""
        return self.categories is not None or self.sources is not None or self.min_delay_s > 0

    def is_due(self, accepted_at: float, now: float) -> bool:
        """Say whether the bearer may see by now what was accepted then (Unix seconds)."""
        return accepted_at + self.min_delay_s <= now

    def max_channels_within(self, most: int) -> int:
        """Give how many channels a connection of his may have where the server allows `most`."""
        return most if self.max_channels is None else min(most, self.max_channels)


UNRESTRICTED = Entitlement()
"""Whoever's token says nothing of it, and everybody where no tokens are asked for."""


def parse_entitlement(claim: object) -> Entitlement:
    """Read the claim `ent` of a believed token. Raises Theirs(UNAUTHORIZED) with every bad field named."""
    if not isinstance(claim, Mapping):
        raise _refused((FieldError("/ent", "want an object"),))
    try:
        said = fields.convert(claim, _Claim, "/ent")
    except fields.InvalidFields as error:
        raise _refused(error.errors) from None
    errors = (*_unknown(claim), *_bad_categories(said.categories or ()))
    if errors:
        raise _refused(errors)
    return Entitlement(
        categories=None if said.categories is None else frozenset(map(str.casefold, said.categories)),
        sources=None if said.sources is None else _read_sources(said.sources),
        max_channels=said.max_channels,
        min_delay_s=said.min_delay_s,
    )


def _read_sources(names: tuple[str, ...]) -> AllowedSources:
    """Part names into "rss" and "nitter", accounts ("@reuters"), and all others, which are feeds."""
    kinds = frozenset(names) & frozenset(Source)
    handles = frozenset(handle_key(name) for name in names if name.startswith("@"))
    feeds = (parse_term(name) for name in names if name not in kinds and not name.startswith("@"))
    return AllowedSources(kinds, handles, frozenset(term for term in feeds if term is not None))


def _unknown(claim: Mapping[str, object]) -> list[FieldError]:
    return [
        FieldError(bad.pointer, "unknown, and what is not known cannot be kept to")
        for bad in fields.unknown_keys(claim, _Claim, "/ent")
    ]


def _bad_categories(names: tuple[str, ...]) -> list[FieldError]:
    wanted = f"want one of {', '.join(Category)}"
    known = set(Category)
    return [
        FieldError(f"/ent/categories/{place}", wanted)
        for place, name in enumerate(names)
        if name.casefold() not in known
    ]


def _refused(errors: tuple[FieldError, ...]) -> ClientError:
    return ClientError(ErrorCode.UNAUTHORIZED, "The token's claim ent cannot be kept to", fields=errors)
