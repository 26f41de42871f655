"""The response that sends server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import ClassVar, Generic, TypeVar

from oxidite.http.response import EVENTS, StreamingResponse, stopping
from oxidite.http.streams.events import Event, checked_retry, encode_event, retry_field
from oxidite.http.streams.feed import Feed

__all__ = ["EventStream"]

T = TypeVar("T")

_KEEP_ALIVE = b":\n\n"
_BACK = (1.0, 3.0)
"""Seconds after which clients come back to a server that stops: not all in one moment."""


class EventStream(StreamingResponse, Generic[T]):
    """Server-sent events, made while they are sent.

    ``events`` yields an ``Event``, or its data. A comment is sent at once, so that the client knows
    it is connected, and another whenever nothing was sent for ``keep_alive`` seconds (``None``:
    never): proxies close silent connections, and a client that is gone shows when one writes.
    ``retry`` are the seconds after which a client whose stream ended comes back. When the server
    begins to stop, the stream ends and says when to come back.

    An exception of ``events`` cuts the stream off, so that it does not look complete; ``on_error``
    may return a last event that tells the client.
    """

    __slots__ = ()

    media_type: ClassVar[str | None] = EVENTS

    def __init__(
        self,
        events: AsyncIterable[T | Event[T]] | Iterable[T | Event[T]],
        *,
        keep_alive: float | None = 15.0,
        retry: float | None = None,
        on_error: Callable[[Exception], Event[object] | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if keep_alive is not None and not 0 < keep_alive < 1e9:
            raise ValueError(f"keep_alive={keep_alive!r} is not a number of seconds; or use None.")
        feed = _EventFeed(events, keep_alive, checked_retry(retry), on_error)
        # Proxies buffer, unless they are told: nginx by the second field, most others by the first.
        fields = {"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})}
        super().__init__(feed, content_type=EVENTS, headers=fields)


class _EventFeed(Feed[object]):
    """Adds what is not the producer's: the beginning, keep-alive comments, the end with the server."""

    def __init__(
        self,
        events: AsyncIterable[object] | Iterable[object],
        keep_alive: float | None,
        retry: float | None,
        on_error: Callable[[Exception], Event[object] | None] | None,
    ) -> None:
        super().__init__(events, encode_event)
        self._keep_alive = keep_alive
        self._retry = retry
        self._on_error = on_error
        self._taken = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        await super().aclose()

    def _start(self) -> asyncio.Task[None]:
        self._add(_KEEP_ALIVE if self._retry is None else retry_field(self._retry) + b"\n")
        loop = asyncio.get_running_loop()
        self._taken = loop.time()
        if self._keep_alive is not None:
            self._timer = loop.call_later(self._keep_alive, self._tick, loop, self._keep_alive)
        stop = stopping.get()
        if stop is not None:
            self._watcher = loop.create_task(self._end_with(stop))
        return super()._start()

    async def _produce(self) -> None:
        try:
            await super()._produce()
        except Exception as exc:
            last = None if self._on_error is None else self._on_error(exc)
            if last is not None:
                self._add(encode_event(last))
            raise

    def _take(self) -> bytes:
        self._taken = asyncio.get_running_loop().time()
        return super()._take()

    def _tick(self, loop: asyncio.AbstractEventLoop, keep_alive: float) -> None:
        # One timer for a stream, not one for each wait. It looks at real time: proxies do, too.
        left = self._taken + keep_alive - loop.time()
        if left <= 0:
            if not self._made:
                self._add(_KEEP_ALIVE)
            left = keep_alive
        self._timer = loop.call_later(left, self._tick, loop, keep_alive)

    async def _end_with(self, stop: asyncio.Event) -> None:
        await stop.wait()
        back = random.uniform(*_BACK) if self._retry is None else self._retry
        self._add(retry_field(back) + b"\n")
        self._stopped = True
