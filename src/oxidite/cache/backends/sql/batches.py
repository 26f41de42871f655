"""What waits for the one thread of a SQLite connection goes there together.

A hop to the thread and back costs more than most of what is done there. So whoever comes first goes at
once, and all who come while it is away go in one hop after it, and in one transaction if they write: who is
alone loses nothing, and a hundred cost little more than a few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from oxidite.concurrency import context_behind
from oxidite.db.connections.steps import Steps, fetched
from oxidite.db.errors import ConflictingTransactionsError

__all__ = ["Batches", "Make"]

T = TypeVar("T")

Make: TypeAlias = Callable[[], Steps[T]]
"""Begins the steps, anew each time it is called."""

_MOST = 500
"""How many go together: others wait for the end of the transaction."""


class Batches:
    """Runs steps, those that come together in one go, with ``most`` goes at a time.

    ``run`` runs steps on a connection. ``writes``: they change something, so that they are all done or none.
    """

    def __init__(
        self, run: Callable[[Make[object]], Awaitable[object]], *, most: int, writes: bool
    ) -> None:
        self._run = run
        self._most = most
        self._writes = writes
        self._running = 0
        self._waiting: list[tuple[Make[object], asyncio.Future[object]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def do(self, make: Make[object], seconds: float) -> object:
        """Run steps and return what they return, within ``seconds``.

        Raises:
            TimeoutError: it took longer, also in waiting for others.
        """
        async with asyncio.timeout(seconds):
            if self._running >= self._most:
                future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
                self._waiting.append((make, future))
                return await future
            self._running += 1
            try:
                return await self._run(make)
            finally:
                self._ended()

    def _ended(self) -> None:
        self._running -= 1
        # Who was cancelled meanwhile wants nothing any more.
        waiting = [each for each in self._waiting if not each[1].done()]
        part, self._waiting = waiting[:_MOST], waiting[_MOST:]
        if part:
            self._running += 1
            task = asyncio.create_task(self._together(part), context=context_behind())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _together(self, part: Sequence[tuple[Make[object], asyncio.Future[object]]]) -> None:
        try:
            try:
                makes = [make for make, _ in part]
                results = await self._run(lambda: _all(makes, writes=self._writes))
            except ConflictingTransactionsError as exc:
                # Another process writes, and was waited for as long as it may be: not for each anew.
                for _, future in part:
                    if not future.done():
                        future.set_exception(exc)
                return
            except Exception:  # noqa: BLE001 - whose fault it was is found by asking each alone
                await self._one_by_one(part)
                return
            for (_, future), result in zip(part, results, strict=True):  # type: ignore[call-overload]  # as many as there were steps
                if not future.done():
                    future.set_result(result)
        finally:
            for _, future in part:  # it was cancelled itself
                future.cancel()
            self._ended()

    async def _one_by_one(
        self, part: Sequence[tuple[Make[object], asyncio.Future[object]]]
    ) -> None:
        for make, future in part:
            if future.done():
                continue
            try:
                result = await self._run(make)
            except Exception as exc:  # noqa: BLE001 - raised where it is waited for
                if not future.done():
                    future.set_exception(exc)
            else:
                if not future.done():
                    future.set_result(result)


def _all(makes: Sequence[Make[object]], *, writes: bool) -> Steps[list[object]]:
    results = []
    if writes:
        # What changes a single row begins no transaction by itself; together they are one.
        yield from fetched("SELECT 1", ())
    for make in makes:
        results.append((yield from make()))  # noqa: PERF401 - a generator cannot be asked for from within a list
    return results
