"""A producer in a task of its own, a bounded number of bytes ahead of whoever reads.

It is one task from the first item to the clean-up, so time-outs, task groups and context variables
may span a ``yield``. What is made while the reader is busy goes out in one piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Generic, TypeVar

from oxidite.concurrency import finished
from oxidite.http.response import iterate

__all__ = ["Feed"]

T = TypeVar("T")

_AHEAD = 16 * 1024
"""Bytes that may wait for the reader; then the producer waits. One item may go beyond."""


class Feed(Generic[T]):
    """The encoded items of a producer, as an iterable of bytes; to be iterated once.

    ``closing`` gives what follows the last item. The producer starts when the first piece is asked
    for. When the iteration ends, or is given up, the producer is cancelled and has run its clean-up.
    """

    def __init__(
        self,
        items: AsyncIterable[T] | Iterable[T],
        encode: Callable[[T], bytes],
        *,
        closing: Callable[[], bytes] = bytes,
    ) -> None:
        self._items = items if isinstance(items, AsyncIterable) else iterate(items)
        self._encode = encode
        self._closing = closing
        self._made: list[bytes] = []
        self._size = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._told = False  # the reader has heard how the producer ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # A generator, so that it is closed with whatever wraps it.
        task = self._task or self._start()
        try:
            while not self._stopped or self._made:
                if self._made:
                    yield self._take()
                elif task.done():
                    return
                else:
                    await self._change()
        finally:
            await self.aclose()

    async def first(self) -> None:
        """Wait until there is something to read; raise what kept it from being made.

        Who has called this also calls ``aclose``: the iteration may never begin.
        """
        task = self._task or self._start()
        while not self._made and not task.done():
            await self._change()
        if not self._made:
            await self.aclose()

    async def aclose(self) -> None:
        """Stop the producer, wait for its clean-up, and raise what nobody has been told yet."""
        self._stopped = True
        task = self._task
        if task is None:
            return
        if not task.done():
            task.cancel()
            await finished(task, cancel=True)
            self._told = self._told or task.cancelled()
        if not self._told:
            self._told = True
            task.result()

    def _start(self) -> asyncio.Task[None]:
        task = self._task = asyncio.get_running_loop().create_task(self._produce())
        task.add_done_callback(lambda _: self._changed.set())
        return task

    async def _produce(self) -> None:
        items = aiter(self._items)
        try:
            async for item in items:
                self._add(self._encode(item))
                while self._size > _AHEAD and not self._stopped:
                    self._room.clear()
                    await self._room.wait()
                if self._stopped:
                    return  # one that took no notice of its cancellation
            self._add(self._closing())
        finally:
            await _close(items)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _add(self, data: bytes) -> None:
        if data:
            self._made.append(data)
            self._size += len(data)
            self._changed.set()

    def _take(self) -> bytes:
        made = self._made
        data = made[0] if len(made) == 1 else b"".join(made)
        made.clear()
        self._size = 0
        self._room.set()
        return data


async def _close(items: object) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
