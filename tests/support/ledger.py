"""What was published, accepted and stored, which client should have what, and the verdict on a fault."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

import aiohttp
import msgspec

from tests.support import oracle
from tests.support.items import raw
from tests.support.server import RunningServer
from tests.support.terminals import Terminal

WORDS = ("fed", "bitcoin", "election", "earnings", "tariffs", "merger", "ceasefire", "hurricane", "senate", "opec")
LAST = "lastword"


def wishes(number: int) -> dict[str, Any]:
    """Return the filter of the client with this number: about a tenth of the items, and the last one."""
    return {"impact_threshold": 20, "keywords": [WORDS[number % len(WORDS)], LAST]}


def wanted(terminal: Terminal, stored: dict[int, dict[str, Any]]) -> set[int]:
    """Return the seqs that the oracle expects for a client."""
    return {seq for seq, item in stored.items() if oracle.wants(terminal.filters, item)}


class Verdict(NamedTuple):
    """What a fault caused. In ack mode an item may be sent twice: it counts as `again`, not as duplicated."""

    fault: str
    published: int
    acknowledged: int
    received: int
    lost: int
    duplicate: int
    unwanted: int
    out_of_order: int
    again: int
    fired: int
    seed: int

    def __str__(self) -> str:
        return (
            f"{self.fault}: published {self.published}, acknowledged {self.acknowledged}, received {self.received},"
            f" lost {self.lost}, duplicate {self.duplicate}, unwanted {self.unwanted},"
            f" out of order {self.out_of_order},"
            f" sent again for want of an ack {self.again}, faults fired {self.fired}, seed {self.seed}"
        )

    def check(self) -> None:
        """Fail unless nothing is wrong and the fault occurred."""
        print(self)  # noqa: T201 - the line is what the test is run for
        assert self.lost == self.duplicate == self.unwanted == self.out_of_order == 0
        assert self.fired > 0
        assert self.received > 0


class Ledger:
    """Publishes, and records the results."""

    def __init__(self, fault: str, seed: int = 7) -> None:
        self.fault, self.seed = fault, seed
        self.published = 0
        self.acknowledged: dict[str, int] = {}
        self.refusals: Counter[int] = Counter()
        self.fired = 0

    def next_item(self, **changes: Any) -> dict[str, Any]:
        """Make the next item: one of the words, and an impact that some filters reject."""
        self.published += 1
        number = self.published
        word = WORDS[(number * 7) % len(WORDS)]
        given = {"title": f"{word} story {number}", "content": f"report {number}", "impact_score": number * 13 % 100}
        return raw(number, **(given | changes))

    async def publish(self, server: RunningServer, count: int = 1, **changes: Any) -> bool:
        """Publish `count` items; return whether the server accepted them. A server that is gone accepts nothing."""
        items = [self.next_item(**changes) for _ in range(count)]
        with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
            return await self._post(server, items)
        return False

    async def _post(self, server: RunningServer, items: Sequence[dict[str, Any]]) -> bool:
        body = b"\n".join(map(msgspec.json.encode, items))
        headers = {"Content-Type": "application/x-ndjson"}
        async with server.http.post(f"{server.url}/api/v1/news", data=body, headers=headers) as answer:
            if answer.status != 202:
                self.refusals[answer.status] += 1
                return False
            for receipt in (await answer.json())["items"]:
                self.acknowledged[receipt["id"]] = receipt["seq"]
        return True

    async def stored(self, server: RunningServer) -> dict[int, dict[str, Any]]:
        """Return every stored item by its seq; accepted ones are among them, and the seqs have no gaps."""
        found: dict[int, dict[str, Any]] = {}
        link = "/api/v1/news?limit=500&after_seq=0"
        while link:
            page = await server.get(link)
            found |= {item["seq"]: item for item in page["items"]}
            link = page["next"]
        by_id = {item["id"]: seq for seq, item in found.items()}
        assert {item_id: by_id.get(item_id) for item_id in self.acknowledged} == self.acknowledged
        assert sorted(found) == list(range(1, len(found) + 1))
        return found

    async def close(self, server: RunningServer, terminals: Sequence[Terminal], within_s: float = 30.0) -> Verdict:
        """Publish the last item, wait until every client has it, and return what each received."""
        while not await self.publish(server, title=LAST, impact_score=100):
            await asyncio.sleep(0.05)
        stored = await self.stored(server)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(terminal.reached < len(stored) for terminal in terminals):
                    await asyncio.sleep(0.05)
        return self.verdict(stored, terminals)

    def verdict(self, stored: dict[int, dict[str, Any]], terminals: Sequence[Terminal]) -> Verdict:
        """Compare what each client received with what the oracle expects."""
        lost = duplicate = unwanted = out_of_order = 0
        for terminal in terminals:
            assert terminal.gaps == [], terminal.user
            due, got = wanted(terminal, stored), set(terminal.seqs)
            lost += len(due - got)
            unwanted += len(got - due)
            firsts = terminal.seqs if not terminal.acks else list(dict.fromkeys(terminal.seqs))
            duplicate += len(firsts) - len(set(firsts))
            out_of_order += sum(after < before for before, after in pairwise(firsts))
        return Verdict(
            self.fault,
            self.published,
            len(self.acknowledged),
            sum(len(terminal.seqs) for terminal in terminals),
            lost,
            duplicate,
            unwanted,
            out_of_order,
            sum(terminal.again for terminal in terminals),
            self.fired,
            self.seed,
        )
