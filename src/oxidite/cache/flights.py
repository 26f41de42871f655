"""Values that are being made: who wants one that another already makes waits for that one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Generic, TypeVar

from oxidite.cache.l1 import Entry
from oxidite.cache.memo import forgetting
from oxidite.concurrency import BackgroundTasks, context_behind
from oxidite.errors import BackendUnavailableError

__all__ = ["Flight", "Flights", "Shared"]

T = TypeVar("T")

_within: ContextVar[tuple[str, ...]] = ContextVar("oxidite.cache.within", default=())


class Flight:
    """The making of a value: cancelled when the last one who waits for it leaves, unless it is kept."""

    def __init__(self, key: str, task: asyncio.Task[Entry], *, has_tags: bool) -> None:
        self.key: str = key
        self.task: asyncio.Task[Entry] = task
        self.has_tags: bool = has_tags
        self._waiting = 0
        self._is_kept = False

    def keep(self, background: BackgroundTasks) -> None:
        """Let it end behind, whoever leaves; if it fails, that is logged."""
        if not self._is_kept:
            self._is_kept = True
            background.spawn(_end_of(self.task), name=self.task.get_name())

    async def wait(self, patience: float | None) -> Entry | None:
        """Return what was made, ``None`` if that takes longer; raise what the making raised.

        Raises:
            RuntimeError: it is asked for by what makes it.
        """
        if self.key in _within.get():
            raise RuntimeError(
                f"The factory of {self.key!r} asks for {self.key!r} itself, and would wait for ever."
            )
        self._waiting += 1
        try:
            done, _ = await asyncio.wait((self.task,), timeout=patience)
            if self.task.cancelled():
                raise BackendUnavailableError("The cache was closed while the value was made.")
            return self.task.result() if done else None
        except asyncio.CancelledError:
            if self._waiting == 1 and not self._is_kept:
                self.task.cancel()
            raise
        finally:
            self._waiting -= 1


async def _end_of(task: asyncio.Task[Entry]) -> None:
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:  # the cache closes and waited long enough
        task.cancel()
        raise
    if not task.cancelled():
        task.result()


class Flights:
    """All that is being made in this process, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._tasks: set[asyncio.Task[Entry]] = set()

    def get(self, key: str) -> Flight | None:
        """Return the making of a value that somebody has begun, and nothing has changed since."""
        found = self._flights.get(key)
        return None if found is None or found.task.done() or found.task.cancelling() else found

    def start(
        self,
        key: str,
        make: Callable[[], Coroutine[object, object, Entry]],
        *,
        has_tags: bool,
        behind: bool,
    ) -> Flight:
        """Begin to make a value; ``behind``, it may go on when the caller has gone on.

        ``has_tags``: it has tags, or nobody knows yet which it will have.
        """
        context = context_behind() if behind else copy_context()
        context.run(_within.set, (*_within.get(), key))
        forgetting(context)
        task = asyncio.get_running_loop().create_task(make(), name=f"cache {key}", context=context)
        flight = self._flights[key] = Flight(key, task, has_tags=has_tags)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def forget(self, key: str) -> None:
        """Let who asks from now on not get what is being made of what was there before."""
        self._flights.pop(key, None)

    def forget_tagged(self) -> None:
        """Forget all that has tags."""
        for key in [key for key, each in self._flights.items() if each.has_tags]:
            del self._flights[key]

    def forget_all(self) -> None:
        """Forget all."""
        self._flights.clear()

    async def close(self) -> None:
        """Cancel what is still being made and wait for its end."""
        self.forget_all()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _landed(self, key: str, task: asyncio.Task[Entry]) -> None:
        self._tasks.discard(task)
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]
        if not task.cancelled():
            task.exception()  # whoever waits sees it; if nobody does any more, nothing is to be said


class Shared(Generic[T]):
    """Questions that several ask at once, asked once."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[T]] = {}

    async def ask(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer, together with those who ask the same at this moment."""
        while (asked := self._asked.get(key)) is not None:
            await asyncio.wait((asked,))
            if not asked.cancelled():
                return asked.result()
            # Who asked was cancelled: one of those who waited asks in its place.
        future = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            answer = await ask()
        except Exception as exc:
            future.set_exception(exc)
            future.exception()  # perhaps nobody waits
            raise
        except BaseException:
            future.cancel()
            raise
        else:
            future.set_result(answer)
            return answer
        finally:
            if self._asked.get(key) is future:
                del self._asked[key]

    def forget(self, key: str) -> None:
        """Let who asks from now on not get an answer of before."""
        self._asked.pop(key, None)

    def forget_all(self) -> None:
        """Forget all questions."""
        self._asked.clear()
