"""Entitlements: what a token's claim `ent` allows the token's bearer to see, and how the claim is parsed.

An item must pass both the filter and the entitlement. The entitlement is never part of a filter: the user decides what
is wanted, and the signer of the token decides what is allowed. A key that is missing in the claim restricts nothing,
and an empty list allows nothing. A claim with an unknown key is refused (docs/decisions/0013).
"""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from app.core.errors import ClientError, ErrorCode, FieldError
from app.core.news.item import Category, Source
from app.core.text.term_set import TermSet
from app.core.text.words import handle_key, parse_term
from app.core.validation import fields

_MAX_ENTRIES = 200
_LONGEST_DELAY_S = 24 * 3600.0

_Names = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=_MAX_ENTRIES)]


class _Claim(msgspec.Struct, frozen=True):
    """The claim `ent` as the signer writes it, before its names are prepared for comparison."""

    categories: _Names | None = None
    sources: _Names | None = None
    max_channels: Annotated[int, Meta(ge=1)] | None = None
    min_delay_s: Annotated[float, Meta(ge=0, le=_LONGEST_DELAY_S)] = 0.0


class AllowedSources(NamedTuple):
    """The sources that a token allows, in the form in which they are compared with an item: kinds of source, Nitter
    accounts, and terms for the names of RSS feeds. An item that matches one of them is allowed.
    """

    kinds: frozenset[str]
    handles: frozenset[str]
    feeds: TermSet


class Entitlement(NamedTuple):
    """What a user may see. A field that is None restricts nothing. An item becomes visible `min_delay_s` seconds after
    the server accepted it.
    """

    categories: frozenset[str] | None = None
    sources: AllowedSources | None = None
    max_channels: int | None = None
    min_delay_s: float = 0.0

    @property
    def hides_items(self) -> bool:
        """Return whether some items are hidden from the user, permanently or until `min_delay_s` has passed."""
        return self.hides_for_good or self.min_delay_s > 0

    @property
    def hides_for_good(self) -> bool:
        """Return whether some items are hidden from the user whatever their age."""
        return self.categories is not None or self.sources is not None

    def is_due(self, accepted_at: float, now: float) -> bool:
        """Return whether `min_delay_s` has passed at the time `now` for an item accepted at `accepted_at`. Both times
        are in Unix seconds. Without a delay every item is due, even if the clock was set back since its acceptance.
        """
        return not self.min_delay_s or accepted_at + self.min_delay_s <= now

    def max_channels_within(self, most: int) -> int:
        """Return how many channels a connection of the user may have. That is the server's limit `most`, or the token's
        limit if it is lower.
        """
        return most if self.max_channels is None else min(most, self.max_channels)


UNRESTRICTED = Entitlement()
"""The entitlement of a token without the claim `ent`, and of every caller of a server that requires no tokens."""


def parse_entitlement(claim: object) -> Entitlement:
    """Parse the claim `ent` of a verified token. Raises ClientError(UNAUTHORIZED) that names the wrong fields."""
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
    """Split names into kinds of source ("rss", "nitter"), accounts ("@reuters") and names of feeds, which are all other
    names. A feed name without a letter or digit matches nothing and is left out.
    """
    kinds = frozenset(names) & frozenset(Source)
    handles = frozenset(handle_key(name) for name in names if name.startswith("@"))
    feeds = (parse_term(name) for name in names if name not in kinds and not name.startswith("@"))
    return AllowedSources(kinds, handles, TermSet(term for term in feeds if term is not None))


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
