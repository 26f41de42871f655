"""Which jobs a filter may mean, a page of ids at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TypeVar, cast

from oxidite.drivers.redis import Redis
from oxidite.queue.base import Filter, JobState
from oxidite.queue.stores.redis.forms import LETTERS

__all__ = ["MOST", "Pages", "chunks"]

T = TypeVar("T")

MOST = 500
"""Jobs in one step: the server does nothing else meanwhile."""


class Pages:
    """Goes through the ids of jobs, the newest first; whether they fit is for a script to say."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def of(self, filter: Filter) -> AsyncIterator[list[str]]:
        """Go through those that a filter may mean: all there are, unless it says which or that they ended."""
        if filter.ids is not None:
            ids = sorted({each.hex for each in filter.ids}, reverse=True)
        elif filter.states is not None and JobState.WAITING not in filter.states:
            ids = sorted(await self._in_states(filter.states), reverse=True)
        else:
            async for page in self._all():
                yield page
            return
        for some in chunks(ids, MOST):
            yield list(some)

    async def _all(self) -> AsyncIterator[list[str]]:
        below = "+"
        while True:
            where = (f"{self._prefix}all", below, "-", "LIMIT", 0, MOST)
            found = await self._redis.run("ZREVRANGEBYLEX", *where, safe=True)
            page = [each.decode() for each in cast("list[bytes]", found)]
            if page:
                yield page
            if len(page) < MOST:
                return
            below = f"({page[-1]}"

    async def _in_states(self, states: Iterable[JobState]) -> set[str]:
        ids: set[str] = set()
        for state in states:
            if state is JobState.RUNNING:
                ids |= await self._running()
            else:
                ids |= await self._members(f"{self._prefix}end:{LETTERS[state]}")
        return ids

    async def _running(self) -> set[str]:
        workers = await self._redis.run("ZRANGE", f"{self._prefix}ws", 0, -1, safe=True)
        names = [worker.decode() for worker in cast("list[bytes]", workers)]
        commands = [("SMEMBERS", f"{self._prefix}w:{name}") for name in names]
        found = await self._redis.run_many(commands, safe=True)
        return {id.decode() for each in found for id in cast("Iterable[bytes]", each)}

    async def _members(self, key: str) -> set[str]:
        ids: set[str] = set()
        cursor = b"0"
        while True:
            reply = await self._redis.run("ZSCAN", key, cursor, "COUNT", 1000, safe=True)
            cursor, found = cast("tuple[bytes, list[bytes]]", reply)
            ids |= {each.decode() for each in found[::2]}
            if cursor == b"0":
                return ids


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
