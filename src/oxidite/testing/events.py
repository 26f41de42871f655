"""Reads server-sent events and JSON Lines in tests.

Events are taken apart as a browser does it, so a test sees what a browser would.
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

import httpx2

from oxidite.encoding import codec_for

__all__ = ["Received", "ReceivedEvent", "read_events", "read_lines"]

T = TypeVar("T")

_BREAK = re.compile(r"\r\n|\r(?!\Z)|\n")
_BEGINNING = 500
"""Characters of an answer that are shown when it is not what was asked for."""


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as it came: its text, its name, and the id to go on from.

    ``id`` is that of the last event which had one, ``retry`` the seconds that were asked for last.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: float | None = None

    @overload
    def json(self) -> Any: ...  # whatever the application sent
    @overload
    def json(self, type_: type[T]) -> T: ...
    def json(self, type_: object = Any) -> Any:
        """Return the data, decoded from JSON as ``type_``."""
        return codec_for(type_).decode_json(self.data.encode())


class Received(Generic[T]):
    """What comes over a stream: iterate it, or ``async with`` it to leave at a certain place.

    Whoever stops half-way is a client that has gone away: the application notices.
    """

    def __init__(
        self,
        stream: AbstractAsyncContextManager[httpx2.Response],
        read: Callable[[httpx2.Response], AsyncIterator[T]],
        media_types: tuple[str, ...],
    ) -> None:
        self._stream = stream
        self._read = read
        self._media_types = media_types
        self._items: AsyncIterator[T] | None = None

    async def __aenter__(self) -> Self:
        response = await self._stream.__aenter__()
        kind = response.headers.get("content-type", "").partition(";")[0]
        if response.status_code >= 300 or kind not in self._media_types:
            text = (await response.aread()).decode(errors="replace")[:_BEGINNING]
            await self._stream.__aexit__(None, None, None)
            raise AssertionError(
                f"expected {self._media_types[0]}, got {response.status_code} {kind}: {text}"
            )
        self._items = self._read(response)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._items = None
        await self._stream.__aexit__(kind, exc, tb)

    async def __aiter__(self) -> AsyncIterator[T]:
        if self._items is not None:
            async for item in self._items:
                yield item
        else:
            async with self:
                async for item in self:
                    yield item


async def read_events(response: httpx2.Response) -> AsyncIterator[ReceivedEvent]:
    """Yield the events of a response. One that was not ended by an empty line is thrown away."""
    data: list[str] = []
    event, last_id, retry = "", "", None
    async for line in _lines(response):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ReceivedEvent("\n".join(data), event or "message", last_id, retry)
            data, event = [], ""
        elif field == "data":
            data.append(value)
        elif field == "event":
            event = value
        elif field == "id" and "\0" not in value:
            last_id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            retry = int(value) / 1000


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    rest = ""
    async for text in response.aiter_text():
        *lines, rest = _BREAK.split(rest + text)
        for line in lines:
            yield line
    if rest.endswith("\r"):
        yield rest[:-1]


async def read_lines(response: httpx2.Response, decode: Callable[[bytes], T]) -> AsyncIterator[T]:
    """Yield the values of JSON Lines."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield decode(line)
    if rest.strip():
        yield decode(rest)
