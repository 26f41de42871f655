"""A store as if it were another machine: it can be held up, and it can fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence

from oxidite import instrument
from oxidite.cache import Claimed, Epochs, Item, Listener
from oxidite.cache.backends.memory import MemoryBackend
from oxidite.errors import BackendUnavailableError


class Remote(MemoryBackend):
    """The values of one process, with the ways of a store that several share.

    ``gate(name)`` stops the next call of that name: before it does anything, or after it has.
    """

    is_shared = True

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False
        self.breaks = False  # what is on its way fails
        self.calls: list[str] = []
        self._awaited: list[tuple[str, int, asyncio.Event]] = []
        self.listener: Listener | None = None
        self._gates: dict[str, Gate] = {}

    def listen(self, listener: Listener) -> None:
        self.listener = listener

    def gate(self, name: str, *, after: bool = False) -> Gate:
        gate = self._gates[name] = Gate(after)
        return gate

    async def until(self, name: str, times: int) -> None:
        """Wait for the call of a name that is the last of so many."""
        event = asyncio.Event()
        self._awaited.append((name, times, event))
        if self.calls.count(name) < times:
            await event.wait()

    async def _enter(self, name: str) -> Gate | None:
        self.calls.append(name)
        for awaited, times, event in self._awaited:
            if awaited == name and self.calls.count(name) >= times:
                event.set()
        if self.is_down:
            raise BackendUnavailableError("The store is down.")
        gate = self._gates.pop(name, None)
        if gate is not None and not gate.after:
            await gate.stop()
        if self.breaks:
            raise BackendUnavailableError("The store broke.")
        return gate

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        gate = await self._enter("get_many")
        found = await super().get_many(keys)
        if gate is not None and gate.after:
            await gate.stop()
        return found

    async def set_many(self, items: Sequence[Item]) -> None:
        gate = await self._enter("set_many")
        await super().set_many(items)
        if gate is not None and gate.after:
            await gate.stop()

    async def incr(self, key: str, by: int, ttl: float | None) -> int:
        await self._enter("incr")
        return await super().incr(key, by, ttl)

    async def delete_many(self, keys: Sequence[str]) -> int:
        gate = await self._enter("delete_many")
        count = await super().delete_many(keys)
        if gate is not None and gate.after:
            await gate.stop()
        return count

    async def clear(self, prefix: str) -> None:
        await self._enter("clear")
        await super().clear(prefix)

    async def epochs(self, tags: Sequence[str]) -> list[Epochs | None]:
        await self._enter("epochs")
        return await super().epochs(tags)

    async def invalidate(self, tags: Sequence[str], *, soft: bool) -> None:
        gate = await self._enter("invalidate")
        await super().invalidate(tags, soft=soft)
        if gate is not None and gate.after:
            await gate.stop()

    async def claim(self, key: str, token: str, lease: float, tags: Sequence[str]) -> Claimed:
        await self._enter("claim")
        return await super().claim(key, token, lease, tags)

    async def fill(self, item: Item, token: str) -> bool:
        await self._enter("fill")
        return await super().fill(item, token)

    async def acquire(self, name: str, owner: str, slots: int, ttl: float) -> int | None:
        await self._enter("acquire")
        return await super().acquire(name, owner, slots, ttl)

    async def extend(self, name: str, owner: str, ttl: float) -> bool:
        await self._enter("extend")
        return await super().extend(name, owner, ttl)

    async def leave(self, name: str, owner: str) -> bool:
        await self._enter("leave")
        return await super().leave(name, owner)


class Gate:
    """Where a call waits until the test lets it go on."""

    def __init__(self, after: bool) -> None:
        self.after = after
        self._reached = asyncio.Event()
        self._opened = asyncio.Event()

    async def stop(self) -> None:
        self._reached.set()
        await self._opened.wait()

    async def reached(self) -> None:
        await self._reached.wait()

    def open(self) -> None:
        self._opened.set()


class Told(instrument.Listener):
    """What was told of the work meanwhile."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self._awaited: list[tuple[str, int, asyncio.Event]] = []

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    async def until(self, name: str, times: int = 1) -> None:
        event = asyncio.Event()
        self._awaited.append((name, times, event))
        if self.names().count(name) < times:
            await event.wait()

    def span_started(self, span: instrument.Span) -> None:
        pass

    def span_ended(self, span: instrument.Span, error: BaseException | None) -> None:
        pass

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        self.events.append((name, attributes))
        for awaited, times, event in self._awaited:
            if awaited == name and self.names().count(name) >= times:
                event.set()


@contextlib.contextmanager
def listening() -> Iterator[Told]:
    told = Told()
    with instrument.listen(told):
        yield told
