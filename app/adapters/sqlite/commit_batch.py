"""Collect the appends that share one commit (group commit), and answer their callers after it."""

import asyncio
from collections.abc import Sequence

from app.ports.log import Appended, Entry


class CommitBatch:
    """The appends that one commit will make durable, and the callers that wait for them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.commit: asyncio.Task[None] | None = None
        self._answers: list[tuple[asyncio.Future[list[Appended]], slice]] = []

    def add(self, entries: Sequence[Entry]) -> asyncio.Future[list[Appended]]:
        """Add the entries of one append, and return the future that its caller waits for."""
        answer: asyncio.Future[list[Appended]] = asyncio.get_running_loop().create_future()
        first = len(self.entries)
        self.entries.extend(entries)
        self._answers.append((answer, slice(first, len(self.entries))))
        return answer

    def answer(self, results: Sequence[Appended]) -> None:
        """Complete the future of every caller with the results for that caller's entries."""
        for answer, part in self._answers:
            if not answer.done():
                answer.set_result(list(results[part]))

    def fail(self, error: Exception) -> None:
        """Complete the future of every caller with an error: none of the entries was stored."""
        for answer, _ in self._answers:
            if not answer.done():
                answer.set_exception(error)
