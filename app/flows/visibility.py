"""What the bearer of a token is shown of a stored item."""

import msgspec

from app.core.access.entitlement import Entitlement
from app.core.filters.analysis import analyze_item
from app.core.filters.matching import may_see
from app.ports.log import Record

_encode = msgspec.json.Encoder().encode


def is_shown(record: Record, entitled: Entitlement, now: float) -> bool:
    """Return whether an entitlement allows an item at `now` (Unix seconds): its category, its source and its age."""
    if not entitled.is_due(record.accepted_at, now):
        return False
    return not entitled.hides_items or may_see(analyze_item(record.item), entitled)


def as_shown(record: Record, entitled: Entitlement) -> Record:
    """Return a record as the entitlement allows it: without `duplicate_of` if that may name a hidden item."""
    if record.item.duplicate_of is None or not entitled.hides_for_good:
        return record
    return without_original(record)


def without_original(record: Record) -> Record:
    """Return a record whose item does not say of which other item it is a duplicate."""
    item = msgspec.structs.replace(record.item, duplicate_of=None)
    return record._replace(item=item, item_json=_encode(item))
