"""Redis servers of this test run's own, and a listener that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer, redis_server

from oxidite.cache import Epochs
from oxidite.errors import BackendError

T = TypeVar("T")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as found:
        yield found


async def healed(ask: Callable[[], Awaitable[T]], *, within: float = 10.0) -> T:
    """Ask again until it works."""
    async with asyncio.timeout(within):
        while True:
            try:
                return await ask()
            except BackendError:
                await asyncio.sleep(0.01)


async def becomes(holds: Callable[[], bool], *, within: float = 10.0) -> None:
    """Look again until it is so."""
    async with asyncio.timeout(within):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


class Heard:
    """A listener that counts what it lost, and remembers the rest."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.tags: dict[str, Epochs] = {}
        self.losses = 0
        self._changed = asyncio.Event()

    def keys_changed(self, keys: Sequence[str]) -> None:
        self.keys.extend(keys)
        self._changed.set()

    def tags_changed(self, epochs: Mapping[str, Epochs]) -> None:
        self.tags.update(epochs)
        self._changed.set()

    def cleared(self, prefix: str) -> None:
        self._changed.set()

    def lost(self) -> None:
        self.losses += 1
        self._changed.set()

    async def until(self, holds: Callable[[], bool], *, within: float = 10.0) -> None:
        async with asyncio.timeout(within):
            while not holds():
                self._changed.clear()
                await self._changed.wait()
