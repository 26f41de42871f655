"""Reads on where a handler waits for something else, so that a client that leaves is noticed."""

from __future__ import annotations

import asyncio
from collections import deque

from oxidite.websocket.errors import ClosedError
from oxidite.websocket.wire import Wire

__all__ = ["ReadAhead"]

_KEPT = 64 * 1024
"""Bytes kept for the handler; as long as there are more, nothing is read."""

_MOST = 32
"""And messages."""


class ReadAhead:
    """Stands between a socket and its server from now on, as only one at a time may receive."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._messages: deque[str | bytes] = deque()
        self._size = 0
        self._end: ClosedError | None = None
        self._changed = asyncio.Event()

    async def run(self) -> ClosedError:
        """Read until the client has left; return how."""
        while True:
            try:
                data = self._wire.content(await self._wire.receive())
            except ClosedError as exc:
                self._end = exc
                self._changed.set()
                return exc
            self._messages.append(data)
            self._size += len(data)
            self._changed.set()
            while self._size > _KEPT or len(self._messages) >= _MOST:
                self._changed.clear()
                await self._changed.wait()

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            ClosedError: there is none, and the client has left.
        """
        while not self._messages:
            if self._end is not None:
                raise ClosedError(self._end.close_code, self._end.reason)
            self._changed.clear()
            await self._changed.wait()
        data = self._messages.popleft()
        self._size -= len(data)
        self._changed.set()
        return data
