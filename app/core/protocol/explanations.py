"""The message `explanation`, which tells why a client did or did not get an item. REST responses use its parts too."""

from typing import Annotated

import msgspec
from msgspec import Meta

from app.core.filters.matching import Outcome


class ExplainedStep(msgspec.Struct, frozen=True):
    """One step of a filter for one item: whether the item passes the step (`met`), what the filter requires (`want`),
    and what the item has (`got`).
    """

    step: Outcome
    met: bool
    want: dict[str, object]
    got: dict[str, object]


class DeliveryStatus(msgspec.Struct, frozen=True):
    """What happened to an item on one channel of one connection. `state` is written, acked, rejected, before_connect,
    in_gap, pending or filter_changed; `verdict` is the result of the channel's current filter.
    """

    connection_id: str
    channel: str
    state: str
    verdict: Outcome
    filter: Annotated[str, Meta(description="stored or own")]


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="explanation"):
    """The answer to `explain`: why this connection did or did not get an item. `verdict` and `steps` are the result for
    one channel: the connection's first channel that matches the item. If no channel matches, they are the result for
    the connection's first channel. `connections` has one entry for each channel of the connection.
    """

    item: str
    seq: int
    verdict: Outcome
    steps: tuple[ExplainedStep, ...]
    connections: tuple[DeliveryStatus, ...]
    id: str | int | None = None
