"""Bugs to plant, of the kinds that lose, duplicate or reorder items, reveal what a filter or a token hides, or leak
clients.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A bug: what it does, the file, and the code that it replaces, which must occur there exactly once.

    The code is given without the lines that hold only a comment.
    """

    bug: str
    path: str
    right: str
    wrong: str


MUTANTS = (
    Mutant(
        "an item is sent before its commit",
        "app/adapters/sqlite/news_log.py",
        "map(_columns, fresh))\n\n        def publish() -> None:\n"
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
        "first, head = max(after + 1, self._oldest), self._head",
        "first, head = max(after, self._oldest), self._head",
    ),
    Mutant(
        "the tail in memory is read one item late",
        "app/adapters/sqlite/news_log.py",
        "islice(self._tail, after + 1 - self._tail[0].seq, after",
        "islice(self._tail, after + 2 - self._tail[0].seq, after",
    ),
    Mutant(
        "a connection goes live without having caught up",
        "app/flows/delivery/catch_up.py",
        "            if cursor == position and not delay_s:\n",
        "            if cursor >= position - 1 and not delay_s:\n",
    ),
    Mutant(
        "a connection goes live although its client does not read",
        "app/flows/delivery/live.py",
        "return not is_full and buffered_bytes(session) <= self._limits.write_low_water_bytes",
        "return not is_full",
    ),
    Mutant(
        "a session that falls behind stays in the live set",
        "app/flows/delivery/live.py",
        "        self.slots.deactivate(session)\n        session.transition(event)\n",
        "        session.transition(event)\n",
    ),
    Mutant(
        "a session that falls behind skips one item",
        "app/flows/delivery/live.py",
        "        session.move_cursors(self.position)\n",
        "        session.move_cursors(self.position + 1)\n",
    ),
    Mutant(
        "items that were pruned before they were read are skipped silently",
        "app/core/delivery/positions.py",
        "    return [gap for gap in gaps if gap.items > 0]\n",
        "    return [gap for gap in gaps if gap.items > 1_000_000]\n",
    ),
    Mutant(
        "an item that cannot be matched is skipped silently",
        "app/flows/delivery/broadcast.py",
        "                self._skip(matched, record.seq)\n            else:",
        "                self._send(matched)\n                matched.clear()\n"
        "                self._delivery.advance_to(record.seq)\n            else:",
    ),
    Mutant(
        "connections that an error kept from being sent items stay live",
        "app/flows/delivery/live_delivery.py",
        "        for session, after in result.unsent.items():\n            self._read_again(session, after)\n",
        "",
    ),
    Mutant(
        "connections that may have been sent only a part of a batch stay live",
        "app/flows/delivery/live_delivery.py",
        "        for session in result.unknown:\n            self.live.abandon(session)\n",
        "",
    ),
    Mutant(
        "an item that fails when it is read back is skipped silently",
        "app/flows/delivery/catch_up.py",
        "            self._announce_gap(session, LogGap(record.seq, record.seq, GapReason.UNREADABLE))\n",
        "",
    ),
    Mutant(
        "REST calls are not metered",
        "app/adapters/http/request/identity.py",
        "        context.calls.check(client.call_key, is_publish=is_publish)\n",
        "",
    ),
    Mutant(
        "any number of answers may be on their way to one address",
        "app/flows/operations/call_limits.py",
        "                    await answers.free.acquire()\n",
        "                    await asyncio.sleep(0)\n",
    ),
    Mutant(
        "explanations show that a hidden item exists",
        "app/flows/connections/explain.py",
        "        if record is None or not is_shown(record, entitled, self._clock.wall()):\n",
        "        if record is None:\n",
    ),
    Mutant(
        "sample news are written among real ones",
        "app/adapters/sqlite/opening.py",
        "    if is_marked is not is_sample:\n",
        "    if is_marked and not is_sample:\n",
    ),
    Mutant(
        "a database that was put back keeps its epoch",
        "app/adapters/sqlite/mark.py",
        "        epoch = secrets.token_hex(4) if was_put_back(found, mark) else None\n",
        "        epoch = None\n",
    ),
    Mutant(
        "a restored database keeps its epoch",
        "app/adapters/sqlite/backup.py",
        "            _begin_new_log(copy)\n",
        "",
    ),
    Mutant(
        "a row that cannot be decoded ends the reading",
        "app/adapters/sqlite/news_log.py",
        "            except (msgspec.DecodeError, UnicodeDecodeError) as error:\n",
        "            except KeyError as error:\n",
    ),
    Mutant(
        "a restart forgets which items were sent to a device",
        "app/flows/delivery/acks.py",
        "            sent = self._head_at_start if cursor.sent is None else cursor.sent\n",
        "            sent = 0\n",
    ),
    Mutant(
        "a position of another log is resumed",
        "app/core/delivery/positions.py",
        "    if requested.epoch != log.epoch:\n",
        "    if requested.epoch == '':\n",
    ),
    Mutant(
        "a gap of one item is no gap",
        "app/core/delivery/positions.py",
        "    if after >= log.oldest - 1:\n",
        "    if after >= log.oldest - 2:\n",
    ),
    Mutant(
        "a filter that cannot be read matches everything",
        "app/flows/delivery/slots.py",
        "            self.index.put_broken(channel.slot)\n",
        "            self.index.put(channel.slot, __import__('app.core.filters.filter', fromlist=['']).MATCH_ALL)\n",
    ),
    Mutant(
        "replay evaluates only the threshold of a filter",
        "app/flows/delivery/replay_filter.py",
        "first_rejection(self._analyze(record.seq, record.item), compiled) is None",
        "True",
    ),
    Mutant(
        "an ack for an item does not cover those before it",
        "app/core/delivery/ack_window.py",
        "        while self._items and self._items[0].seq <= seq:\n",
        "        while self._items and self._items[0].seq == seq:\n",
    ),
    Mutant(
        "unacknowledged items are never sent again",
        "app/flows/delivery/acks.py",
        "window.oldest_wait_s(now) > self._limits.ack_timeout_s",
        "window.oldest_wait_s(now) > 10 * self._limits.ack_timeout_s",
    ),
    Mutant(
        "a returning device starts live",
        "app/flows/delivery/acks.py",
        "        if not resumes(session) and before is not None:\n",
        "        if not resumes(session) and before is None:\n",
    ),
    Mutant(
        "cursors that could not be written are forgotten",
        "app/flows/delivery/acks.py",
        "            self._unsaved = moved | self._unsaved\n",
        "            self._unsaved = {}\n",
    ),
    Mutant(
        "a client that does not answer the close frame is never aborted",
        "app/adapters/http/websocket/link.py",
        "        self.write(frames.close_frame(reason))\n        self._abort_later()\n",
        "        self.write(frames.close_frame(reason))\n",
    ),
    Mutant(
        "SendMany overtakes bytes that wait in a link",
        "app/flows/connections/dispatcher.py",
        "        self._live.slots.use_link(session)\n",
        "        pass\n",
    ),
    Mutant(
        "a partial write is repeated from its beginning",
        "app/flows/delivery/fanout.py",
        "((slot, joined[size:]) for slot",
        "((slot, joined) for slot",
    ),
    Mutant(
        "a descriptor outlives its connection",
        "app/flows/connections/manager.py",
        "            self._live.slots.free(channel)\n        session.closed(reason)\n",
        "            pass\n        session.closed(reason)\n",
    ),
    Mutant(
        "a client that reads nothing is never disconnected",
        "app/core/delivery/phases.py",
        "    return stalled_s > limits.stall_timeout_s or",
        "    return stalled_s > 1000 * limits.stall_timeout_s or",
    ),
    Mutant(
        "a connection stays in the register",
        "app/flows/connections/manager.py",
        "        self._open.pop(session.id, None)\n",
        "",
    ),
    Mutant(
        "both connections of a device get items",
        "app/flows/connections/manager.py",
        "            self._live.disconnect(old, DisconnectReason.REPLACED)\n",
        "            old.end(DisconnectReason.REPLACED)\n",
    ),
    Mutant(
        "a channel's new filter is not put into the index",
        "app/flows/connections/manager.py",
        "filter_seq = wanted, self._live.decided_seq(session)\n        if session.phase is Phase.LIVE:\n",
        "filter_seq = wanted, self._live.decided_seq(session)\n        if session.phase is Phase.CLOSED:\n",
    ),
    Mutant(
        "a full disk is written to at once again",
        "app/adapters/sqlite/disk_space.py",
        "        if self.is_full and operation not in _ALWAYS:\n",
        "        if self.is_full and operation in _ALWAYS:\n",
    ),
    Mutant(
        "a failed fsync is forgotten",
        "app/adapters/sqlite/disk_space.py",
        "            self._distrusted_for = fault\n",
        "            self._distrusted_for = None\n",
    ),
    Mutant(
        "the drain does not wait for what was accepted",
        "app/flows/operations/shutdown.py",
        "                await self._broadcaster.wait_until_caught_up()\n",
        "                pass\n",
    ),
    Mutant(
        "a token's entitlement is forgotten while matching",
        "app/flows/delivery/slots.py",
        "self.index.put(channel.slot, channel.filter, session.token.entitled)",
        "self.index.put(channel.slot, channel.filter)",
    ),
    Mutant(
        "an entitlement applies to sockets only",
        "app/flows/news/history.py",
        "if wanted is None and not entitled.hides_items:",
        "if wanted is None:",
    ),
    Mutant(
        "delayed items are sent at once",
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
        "a feed reaches a private address",
        "app/adapters/sources/rss/public_addresses.py",
        "if host not in self._allowed and not is_public(host):",
        "if not host:",
    ),
    Mutant(
        "a silent connection may stay unauthenticated",
        "app/flows/connections/pending_auth.py",
        "call_later(self._all.limits.timeout_s, self._time_out)",
        "call_later(1e6, self._time_out)",
    ),
    Mutant(
        "a flood is read to its end",
        "app/adapters/http/websocket/frame_reader.py",
        "while not self.is_flooded and (frame",
        "while (frame",
    ),
    Mutant(
        "a delivered item pays for a frame of any kind",
        "app/flows/connections/dispatcher.py",
        "if seq is not None and inbox.exempt(session.window, seq):",
        "if seq is None or inbox.exempt(session.window, seq):",
    ),
    Mutant(
        "a head that comes with the connect has no time limit",
        "app/adapters/http/aiohttp_internals.py",
        "protocol._request_count == 0 or (",
        "(",
    ),
    Mutant(
        "tasks that read back never let others run",
        "app/flows/time_slices.py",
        "        if self._slices.is_spent:\n",
        "        if False:\n",
    ),
    Mutant(
        "a rebound host name is served",
        "app/adapters/http/request/origins.py",
        "if not (named or settings.serves_only_this_machine):",
        "if not named:",
    ),
    Mutant(
        "any page may change things",
        "app/adapters/http/application.py",
        "        check_page(request, settings)\n",
        "",
    ),
    Mutant(
        "one malformed key costs the others",
        "app/adapters/tokens/keys.py",
        "with suppress(Exception):",
        "with suppress(ValueError):",
    ),
    Mutant(
        "IPv4-mapped callers are one caller",
        "app/adapters/http/request/client_ip.py",
        "if address.ipv4_mapped is not None:",
        "if False:",
    ),
    Mutant(
        "the server's own standstill counts as a client's silence",
        "app/flows/connections/keepalive.py",
        "now - max(session.pinged_at, self._resumed_at)",
        "now - session.pinged_at",
    ),
    Mutant(
        "a dead writer goes unnoticed",
        "app/serve.py",
        "[*server.workers, stores.watch, partial(",
        "[*server.workers, partial(",
    ),
    Mutant(
        "publishing waits for a stuck disk",
        "app/flows/news/process.py",
        "asyncio.timeout(self._limits.timeout_s)",
        "asyncio.timeout(None)",
    ),
    Mutant(
        "commits go on into a removed file",
        "app/adapters/sqlite/database.py",
        "            if self._file.is_lost:\n                raise DatabaseFileLost\n",
        "",
    ),
    Mutant(
        "a second server opens the file by another name",
        "app/adapters/sqlite/database_file.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
    ),
    Mutant(
        "a live item names a hidden one",
        "app/flows/delivery/in_flight.py",
        "is_restricted and self.record.item.duplicate_of is not None",
        "False",
    ),
    Mutant(
        "a replayed item names a hidden one",
        "app/flows/delivery/catch_up.py",
        "as_shown(record, session.token.entitled).item_json",
        "record.item_json",
    ),
    Mutant(
        "a damaged page stops all replays across it",
        "app/adapters/sqlite/news_log.py",
        "if fault_of(error.__cause__ or error) is not Fault.CORRUPT:",
        "if True:",
    ),
    Mutant(
        "one address may send any number of bodies at once",
        "app/flows/operations/call_limits.py",
        "if self._held_bytes[address] + size > self._limits.max_body_bytes_per_ip:",
        "if size > self._limits.max_body_bytes_per_ip:",
    ),
    Mutant(
        "a hanging change of the database looks healthy",
        "app/adapters/sqlite/database.py",
        "            self._writing_since = loop.time()\n",
        "",
    ),
)
