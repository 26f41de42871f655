"""Several questions at once, for code that needs all the answers before it can go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from oxidite.db.connections.together import Together
from oxidite.db.connections.transaction import Owner, current_transaction
from oxidite.db.errors import QueryError

__all__ = ["Batch", "Later", "current_batch", "run_parts"]

T = TypeVar("T")

_WIDTH = 8
"""Questions at a time where each has a connection."""
_JOINED_WIDTH = 32
"""Where one statement asks several, and most have none."""
_current: ContextVar[tuple[Owner, Together] | None] = ContextVar(
    "oxidite.db.connections.batch", default=None
)


def current_batch(owner: Owner) -> Together | None:
    """Return what gathers the reads of the batch that the calling code is a part of.

    None in a transaction, which has a connection of its own, also if the part itself has begun it.
    """
    batch = _current.get()
    if batch is None or batch[0] is not owner or current_transaction(owner) is not None:
        return None
    return batch[1]


class Later(Generic[T]):
    """An answer that is there when the block of its batch has ended."""

    __slots__ = ("_error", "_is_there", "_value", "_work")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._is_there = False
        self._value: T
        self._error: BaseException | None = None

    @property
    def value(self) -> T:
        """The answer.

        Raises:
            QueryError: the batch has not run yet.
        """
        if self._error is not None:
            raise self._error
        if not self._is_there:
            raise QueryError("There is no answer yet: a batch runs at the end of its block.")
        return self._value

    async def run(self) -> None:
        """Find the answer."""
        try:
            self._value = await self._work
        except Exception as exc:  # noqa: BLE001 - kept for whoever asks for the answer
            self._error = exc
        else:
            self._is_there = True

    def give_up(self) -> None:
        """Do without it, unless it is there."""
        if not self._is_there and self._error is None:
            self._work.close()
            self._error = QueryError("The batch was given up before this was answered.")

    @property
    def error(self) -> BaseException | None:
        """What went wrong instead."""
        return self._error


class Batch:
    """Questions to be asked together."""

    def __init__(self, run: Callable[[Sequence[Later[Any]]], Awaitable[None]]) -> None:
        self._run = run
        self._parts: list[Later[Any]] = []

    def add(self, work: Coroutine[Any, Any, T]) -> Later[T]:
        """Add one, such as ``User.where(…).all()`` or ``Post.count()``; do not await it yourself."""
        made = Later(work)
        self._parts.append(made)
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            if exc is None:
                await self._run(self._parts)
        finally:
            for each in self._parts:
                each.give_up()
        for each in self._parts:
            if exc is None and each.error is not None:
                raise each.error


async def run_parts(
    owner: Owner, parts: Sequence[Later[Any]], together: Together | None = None
) -> None:
    """Find the answers of a batch; ``together`` gathers what is read into one statement."""
    if current_transaction(owner) is not None:
        for each in parts:
            await each.run()
        return
    if together is None:
        await _side_by_side(parts, _WIDTH)
        return
    before = _current.get()
    _current.set((owner, together))
    try:
        await _side_by_side(parts, _JOINED_WIDTH)
    finally:
        _current.set(before)
        await together.close()


async def _side_by_side(parts: Sequence[Later[Any]], width: int) -> None:
    turn = asyncio.Semaphore(width)

    async def one(part: Later[Any]) -> None:
        async with turn:
            await part.run()

    async with asyncio.TaskGroup() as group:
        for each in parts:
            group.create_task(one(each))
