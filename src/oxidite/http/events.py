"""Server-sent events: what one looks like on the wire, and the response that sends them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import ClassVar, Generic, TypeVar

from msgspec import UNSET, UnsetType

from oxidite.encoding import encode_json
from oxidite.http.feed import Feed
from oxidite.http.response import StreamingResponse

__all__ = ["Event", "EventStream", "encode_event", "stopping"]

T = TypeVar("T")

stopping: ContextVar[asyncio.Event | None] = ContextVar("stopping", default=None)
"""For the protocols: the event that is set when the server begins to stop."""

_BREAK = re.compile(r"\r\n|\r|\n")
_KEEP_ALIVE = b":\n\n"
_BACK = (1.0, 3.0)
"""Seconds after which clients come back to a server that stops: not all in one moment."""


class Event(Generic[T]):
    """One server-sent event.

    ``data`` is sent as it is if it is text, else as JSON. ``event`` is the name under which a
    browser's ``EventSource`` hands it on (``message`` without one), ``id`` what comes back in
    ``Last-Event-ID`` when the client reconnects, and ``retry`` the seconds after which it does. A
    ``comment`` is for people who look at the wire. One without data is handed to nobody: it may set
    ``id`` and ``retry``.

    Raises:
        ValueError: ``event`` or ``id`` holds a line break, which would begin another field; an
            ``id`` NUL, for which clients ignore it; ``retry`` is negative or no number; there is
            nothing in it, or a name without data.
    """

    __slots__ = ("comment", "data", "event", "id", "retry")

    data: T | UnsetType
    event: str | None
    id: str | None
    retry: float | None
    comment: str | None

    def __init__(
        self,
        data: T | UnsetType = UNSET,
        *,
        event: str | None = None,
        id: str | None = None,
        retry: float | None = None,
        comment: str | None = None,
    ) -> None:
        if event is not None:
            _check_line("event", event)
            if data is UNSET:
                raise ValueError(
                    f"An event {event!r} without data is ignored by clients; give it some."
                )
        if id is not None:
            _check_line("id", id)
        if data is UNSET and id is None and retry is None and comment is None:
            raise ValueError("There is nothing in this event. Give it data.")
        self.data = data
        self.event = event
        self.id = id
        self.retry = _checked_retry(retry)
        self.comment = comment

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in self.__slots__}
        shown = (f"{k}={v!r}" for k, v in given.items() if v is not None and v is not UNSET)
        return f"Event({', '.join(shown)})"


def _check_line(field: str, value: str) -> None:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(
            f"{field}={value!r} has a line break or NUL in it, which cannot be sent. Put it into data."
        )


def _checked_retry(retry: float | None) -> float | None:
    if retry is not None and not 0 <= retry < 1e9:
        raise ValueError(f"retry={retry!r} is not a number of seconds to wait.")
    return retry


def encode_event(item: object) -> bytes:
    """Return an ``Event``, or the data of one, as it goes over the wire."""
    if isinstance(item, Event):
        return _encode(item)
    if isinstance(item, str):
        return _lines("data", item) + b"\n"
    return b"data: " + encode_json(item) + b"\n\n"


def _encode(event: Event[object]) -> bytes:
    parts = []
    if event.comment is not None:
        parts.append(_lines("", event.comment))
    if event.retry is not None:
        parts.append(_retry(event.retry))
    if event.id is not None:
        parts.append(f"id: {event.id}\n".encode())
    if event.event is not None:
        parts.append(f"event: {event.event}\n".encode())
    if event.data is not UNSET:
        parts.append(encode_event(event.data))
    else:
        parts.append(b"\n")
    return b"".join(parts)


def _lines(field: str, text: str) -> bytes:
    """Return text as one field for each of its lines; what a line ends with is lost."""
    if "\n" in text or "\r" in text:
        return "".join(f"{field}: {line}\n" for line in _BREAK.split(text)).encode()
    return f"{field}: {text}\n".encode()


def _retry(seconds: float) -> bytes:
    return b"retry: %d\n" % round(seconds * 1000)


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

    media_type: ClassVar[str] = "text/event-stream"

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
        feed = _EventFeed(events, keep_alive, _checked_retry(retry), on_error)
        # Proxies buffer, unless they are told: nginx by the second field, most others by the first.
        fields = {"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})}
        super().__init__(feed, content_type=self.media_type, headers=fields)


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
        self._add(_KEEP_ALIVE if self._retry is None else _retry(self._retry) + b"\n")
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
        self._add(_retry(back) + b"\n")
        self._stopped = True
