"""Several questions at once, for code that needs all the answers before it can go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from oxidite.db.errors import QueryError

__all__ = ["Batch", "Later"]

T = TypeVar("T")


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
    """Questions to be asked together; ``width`` at most at a time."""

    def __init__(self, is_in_transaction: Callable[[], bool], *, width: int = 8) -> None:
        self._is_in_transaction = is_in_transaction
        self._width = width
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
                await self._run()
        finally:
            for each in self._parts:
                each.give_up()
        for each in self._parts:
            if exc is None and each.error is not None:
                raise each.error

    async def _run(self) -> None:
        if self._is_in_transaction():
            for each in self._parts:
                await each.run()
            return
        turn = asyncio.Semaphore(self._width)

        async def one(part: Later[Any]) -> None:
            async with turn:
                await part.run()

        async with asyncio.TaskGroup() as group:
            for each in self._parts:
                group.create_task(one(each))
