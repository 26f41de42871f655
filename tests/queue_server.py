"""A store of jobs that several processes share, for tests: one in memory, behind a Unix socket.

``python -m tests.queue_server PATH`` serves it, and ``shared:///PATH`` is its URL once ``register`` was
called. It is as durable as the process that holds it, and the processes that use it may be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self
from urllib.parse import SplitResult

from oxidite.errors import BackendError, BackendUnavailableError
from oxidite.queue.base import Filter, JobStore, StoredJob
from oxidite.queue.stores import stores
from oxidite.queue.stores.memory import MemoryStore

__all__ = ["SharedStore", "register"]

_CALLS = [
    "now",
    "push",
    "enter",
    "beat",
    "exit",
    "exchange",
    "wait",
    "rescue",
    "save",
    "get",
    "counts",
    "cancel",
    "retry",
    "delete",
    "prune",
    "queues",
    "pause",
    "limit",
    "workers",
    "statistics",
    "batch",
    "schedules",
    "save_schedule",
    "remove_schedule",
    "fire",
    "lead",
    "results",
]


class SharedStore(JobStore):
    """The store behind a socket; each call has a connection of its own."""

    is_shared: bool = True
    is_durable: bool = True

    def __init__(self, path: str) -> None:
        self._path = path

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Self:
        return cls(url.path)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except OSError as exc:
            raise BackendUnavailableError(f"{self._path}: {exc}") from exc
        try:
            _send(writer, (name, args, kwargs))
            is_value, value = await _receive(reader)
        except (OSError, EOFError) as exc:
            raise BackendUnavailableError(f"{self._path}: {exc}") from exc
        finally:
            writer.close()
        if not is_value:
            raise value
        return value

    async def find(self, filter: Filter) -> AsyncIterator[StoredJob]:
        for job in await self.call("find", (filter,), {}):
            yield job


def _method(name: str) -> Any:
    async def call(self: SharedStore, *args: Any, **kwargs: Any) -> Any:
        return await self.call(name, args, kwargs)

    return call


for _name in _CALLS:
    setattr(SharedStore, _name, _method(_name))


def register() -> None:
    """Let ``shared://`` be known."""
    stores.register("shared", SharedStore.from_url)


async def _receive(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(4))
    return pickle.loads(await reader.readexactly(size))


def _send(writer: asyncio.StreamWriter, value: object) -> None:
    data = pickle.dumps(value)
    writer.write(len(data).to_bytes(4) + data)


async def _serve(path: str) -> None:
    store = MemoryStore()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            name, args, kwargs = await _receive(reader)
        except EOFError:  # killed before it had asked
            writer.close()
            return
        work = asyncio.ensure_future(_call(store, name, args, kwargs))
        gone = asyncio.ensure_future(reader.read())
        # Who is gone waits for nothing any more.
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if work.done():
            with contextlib.suppress(OSError):
                _send(writer, work.result())
                await writer.drain()
        else:
            work.cancel()
        writer.close()

    async with await asyncio.start_unix_server(answer, path, limit=1 << 24):
        print("ready", flush=True)
        await asyncio.Event().wait()


async def _call(store: MemoryStore, name: str, args: Any, kwargs: Any) -> tuple[bool, object]:
    try:
        if name == "find":
            return True, [job async for job in store.find(*args)]
        return True, await getattr(store, name)(*args, **kwargs)
    except BackendError as exc:
        return False, exc


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
