"""Being told by Redis of what happens there: that there is a job to claim, that one has ended."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from oxidite.drivers.redis import RedisOptions
from oxidite.drivers.redis.subscriber import Subscriber

__all__ = ["Waits"]


class Waits:
    """Who of this process waits for what.

    The connection is made when the first one waits. ``unwanted`` is called with a queue that nobody here
    waits for any more: another process is to be told. ``handed`` is called with what a worker was given.
    """

    def __init__(
        self,
        options: RedisOptions,
        channel: str,
        *,
        unwanted: Callable[[str], object],
        handed: Callable[[bytes], object],
    ) -> None:
        self._options = options
        self._channel = channel
        self._unwanted = unwanted
        self._handed = handed
        self._subscriber: Subscriber | None = None
        self._opening = asyncio.Lock()
        self._waiting: defaultdict[bytes, list[asyncio.Event]] = defaultdict(list)

    async def open(self) -> None:
        """Listen, from the first call on."""
        if self._subscriber is not None:
            return
        async with self._opening:
            if self._subscriber is None:
                made = Subscriber(
                    self._options, [self._channel], heard=self._heard, lost=self._look_all
                )
                try:
                    await made.__aenter__()
                except BaseException:  # who waits may be cancelled at any moment
                    await made.__aexit__(None, None, None)
                    raise
                self._subscriber = made

    async def close(self) -> None:
        """Listen no more."""
        made, self._subscriber = self._subscriber, None
        if made is not None:
            await made.__aexit__(None, None, None)

    @contextmanager
    def listening(self, names: Iterable[bytes]) -> Iterator[asyncio.Event]:
        """Return what is set when one of ``names`` is told of."""
        told, kept = asyncio.Event(), list(names)
        for name in kept:
            self._waiting[name].append(told)
        try:
            yield told
        finally:
            for name in kept:
                self._waiting[name].remove(told)
                if not self._waiting[name]:
                    del self._waiting[name]

    def _heard(self, message: bytes) -> None:
        waiting = self._waiting.get(message)
        if waiting:
            for told in waiting:
                told.set()
        elif message[:1] == b"q":
            self._unwanted(message[1:].decode())
        elif message[:1] == b"h":
            self._handed(message[1:])

    def _look_all(self) -> None:
        """Have everybody look: something may have been told while nobody listened."""
        for each in self._waiting.values():
            for told in each:
                told.set()
