"""Bugs to plant. This file owns which: a line each, of the kinds that lose, double or disorder items, let through what
a filter or a token keeps back, or never let go of a client.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A bug: what it does, where, and the text that it takes the place of, which stands there once."""

    bug: str
    path: str
    right: str
    wrong: str


MUTANTS = (
    Mutant(
        "an item is sent before its commit",
        "app/adapters/sqlite/news_log.py",
        "map(_columns, fresh))\n\n        def publish() -> None:\n"
        "            # Publishers first: their next items come in while these go out to thousands.\n"
        "            batch.answer(results)\n            self._publish(fresh)\n",
        "map(_columns, fresh))\n            self._publish(fresh)\n\n        def publish() -> None:\n"
        "            batch.answer(results)\n",
    ),
    Mutant(
        "a commit does not wait for the disk",
        "app/adapters/sqlite/opening.py",
        "synchronous = FULL",
        "synchronous = NORMAL",
    ),
    Mutant(
        "a publish is answered before its commit",
        "app/adapters/sqlite/news_log.py",
        "map(_columns, fresh))\n\n        def publish() -> None:\n",
        "map(_columns, fresh))\n            batch.answer(results)\n\n        def publish() -> None:\n",
    ),
    Mutant(
        "replay begins one item late",
        "app/adapters/memory/news_log.py",
        "        start = max(after - self._dropped, 0)\n",
        "        start = max(after - self._dropped, 0) + (after > self._dropped)\n",
    ),
    Mutant(
        "reading from the disk gives the last item again",
        "app/adapters/sqlite/news_log.py",
        "WHERE seq > ? ORDER BY seq LIMIT ?",
        "WHERE seq >= ? ORDER BY seq LIMIT ?",
    ),
    Mutant(
        "the tail in memory is read one item late",
        "app/adapters/sqlite/news_log.py",
        "islice(self._tail, after + 1 - self._tail[0].seq, after",
        "islice(self._tail, after + 2 - self._tail[0].seq, after",
    ),
    Mutant(
        "a connection goes live without being level",
        "app/flows/delivery/catch_up.py",
        "            if stands_at == position and not delay_s:\n",
        "            if stands_at >= position - 1 and not delay_s:\n",
    ),
    Mutant(
        "a connection goes live although it takes nothing",
        "app/flows/delivery/catch_up.py",
        "return not session.is_window_full(self._limits) and _untaken(session) <= self._limits.delivery.write_low_water_bytes",
        "return not session.is_window_full(self._limits)",
    ),
    Mutant(
        "who falls behind stays in the live set",
        "app/flows/connections/manager.py",
        "        self.slots.hide(session)\n        session.move(event)\n",
        "        session.move(event)\n",
    ),
    Mutant(
        "who falls behind reads on from one item too far",
        "app/flows/connections/manager.py",
        "        session.pass_to(self.position)\n",
        "        session.pass_to(self.position + 1)\n",
    ),
    Mutant(
        "items that were pruned before they were read are passed over in silence",
        "app/flows/delivery/catch_up.py",
        "        if missed.items <= 0:\n",
        "        if missed.items <= 1_000_000:\n",
    ),
    Mutant(
        "a position of another log is resumed",
        "app/core/delivery/positions.py",
        "    if asked.epoch != log.epoch:\n",
        "    if asked.epoch == '':\n",
    ),
    Mutant(
        "a gap of one item is no gap",
        "app/core/delivery/positions.py",
        "    if after >= log.oldest - 1:\n",
        "    if after >= log.oldest - 2:\n",
    ),
    Mutant(
        "a filter that cannot be read lets everything through",
        "app/flows/delivery/slots.py",
        "            self.index.put_broken(channel.slot)\n",
        "            self.index.put(channel.slot, __import__('app.core.subscription').core.subscription.EVERYTHING)\n",
    ),
    Mutant(
        "a filter that fails while reading back lets everything through",
        "app/flows/delivery/replay_filter.py",
        "            self._stats.recovery.replay_errors += 1\n            return False\n",
        "            self._stats.recovery.replay_errors += 1\n            return True\n",
    ),
    Mutant(
        "reading back asks no filter but the threshold",
        "app/flows/delivery/replay_filter.py",
        "first_rejection(self._reading(record.seq, record.item), criteria) is None",
        "True",
    ),
    Mutant(
        "an ack for one item takes none of those before it",
        "app/core/delivery/ack_window.py",
        "        while self._items and self._items[0].seq <= seq:\n",
        "        while self._items and self._items[0].seq == seq:\n",
    ),
    Mutant(
        "what is not acknowledged is never sent again",
        "app/flows/delivery/acks.py",
        "window.waits_s(now) > self._limits.delivery.ack_timeout_s",
        "window.waits_s(now) > 10 * self._limits.delivery.ack_timeout_s",
    ),
    Mutant(
        "a device that comes back begins live",
        "app/flows/delivery/acks.py",
        "        if session.asks_nothing and before is not None:\n",
        "        if session.asks_nothing and before is None:\n",
    ),
    Mutant(
        "cursors that could not be written are forgotten",
        "app/flows/delivery/acks.py",
        "            self._unsaved = moved | self._unsaved\n",
        "            self._unsaved = {}\n",
    ),
    Mutant(
        "a client that does not answer the close is never dropped",
        "app/adapters/http/websocket/link.py",
        "        self.write(wire.close_frame(ending))\n        self._abort_later()\n",
        "        self.write(wire.close_frame(ending))\n",
    ),
    Mutant(
        "what is written past a link overtakes what waits in it",
        "app/flows/connections/dispatcher.py",
        "        self._connections.slots.use_link(session)\n",
        "        pass\n",
    ),
    Mutant(
        "what a socket took in part is sent again from its beginning",
        "app/flows/delivery/fanout.py",
        "((slot, joined[size:]) for slot",
        "((slot, joined) for slot",
    ),
    Mutant(
        "a descriptor outlives its connection",
        "app/flows/connections/manager.py",
        "            self.slots.take_back(channel)\n        session.ending = ending\n",
        "            pass\n        session.ending = ending\n",
    ),
    Mutant(
        "a client that takes no byte is kept for ever",
        "app/core/delivery/phases.py",
        "    return stuck_s > limits.delivery.stall_timeout_s or",
        "    return stuck_s > 1000 * limits.delivery.stall_timeout_s or",
    ),
    Mutant(
        "a place is not given back",
        "app/flows/connections/manager.py",
        "        del self._open[session.id]\n",
        "",
    ),
    Mutant(
        "both connections of a device get items",
        "app/flows/connections/manager.py",
        "            self.cut(old, Ending.REPLACED)\n",
        "            old.ending = Ending.REPLACED\n",
    ),
    Mutant(
        "a channel's new filter never gets into the index",
        "app/flows/connections/manager.py",
        "wants_seq = wants, self.reached(session)\n        if session.phase is Phase.LIVE:\n",
        "wants_seq = wants, self.reached(session)\n        if session.phase is Phase.CLOSED:\n",
    ),
    Mutant(
        "a full disk is written to again at once",
        "app/adapters/sqlite/disk_space.py",
        "        if self.is_full and operation not in _ALWAYS:\n",
        "        if self.is_full and operation in _ALWAYS:\n",
    ),
    Mutant(
        "a failed fsync is forgotten",
        "app/adapters/sqlite/disk_space.py",
        "            self.is_distrusted = True\n",
        "            self.is_distrusted = False\n",
    ),
    Mutant(
        "the drain does not wait for what was accepted",
        "app/flows/operations/shutdown.py",
        "                await self._broadcaster.wait_until_level()\n",
        "                pass\n",
    ),
    Mutant(
        "a token's entitlement is forgotten while matching",
        "app/flows/delivery/slots.py",
        "self.index.put(channel.slot, channel.wants, session.token.entitled)",
        "self.index.put(channel.slot, channel.wants)",
    ),
    Mutant(
        "an entitlement holds for sockets alone",
        "app/flows/news/history.py",
        "if wants is None and not entitled.hides_items:",
        "if wants is None:",
    ),
    Mutant(
        "late news is not late",
        "app/flows/delivery/catch_up.py",
        "if not session.token.entitled.is_due(record.accepted_at, self._clock.wall()):",
        "if record.accepted_at > self._clock.wall():",
    ),
    Mutant(
        "a token without a date survives its revocation",
        "app/flows/connections/revocations.py",
        "(issued_at is None or issued_at <= before)",
        "(issued_at is not None and issued_at <= before)",
    ),
    Mutant(
        "a feed leads to a private address",
        "app/adapters/sources/rss/public_addresses.py",
        "if host not in self._admitted and not is_public(host):",
        "if not host:",
    ),
    Mutant(
        "who says nothing is a guest for ever",
        "app/adapters/http/websocket/pending_auth.py",
        "call_later(self._room.limits.auth.timeout_s, self._give_up)",
        "call_later(1e6, self._give_up)",
    ),
)
