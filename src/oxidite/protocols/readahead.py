"""Reads on where nobody reads the body of a request, so that a client that leaves is noticed.

Behind a body that waits to be read, ASGI's ``http.disconnect`` waits too: an endless response to a
client that sent a byte nobody wanted would go on for ever after it has left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["ReadAhead"]

Message: TypeAlias = MutableMapping[str, Any]  # the formats of ASGI are open dictionaries

_KEPT = 64 * 1024
"""Bytes kept for a reader that comes late. More than that is thrown away, unless one has come."""


class ReadAhead:
    """Stands between a request and its server from now on, as only one at a time may ``receive``.

    ``has_reader`` says that somebody is in the midst of the body, and must not miss any of it.
    """

    def __init__(
        self, receive: Callable[[], Awaitable[Message]], *, has_reader: bool = False
    ) -> None:
        self._receive = receive
        self._messages: deque[Message] = deque()
        self._size = 0
        self._has_reader = has_reader
        self._is_lost = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Read until the client has gone away."""
        while True:
            message = await self._receive()
            self._keep(message)
            if message["type"] == "http.disconnect":
                return
            while self._has_reader and self._size > _KEPT:
                await self._change()

    async def __call__(self) -> Message:
        """Return the next message to a reader.

        Raises:
            RuntimeError: it was too much to be kept until now.
        """
        self._has_reader = True
        while not self._messages:
            if self._is_lost:
                raise RuntimeError(
                    "The body of this request was not read, and most of it is gone by now. Read it "
                    "before the response begins: take it as an argument, or `await request.body()`."
                )
            await self._change()
        message = self._messages[0]
        if message["type"] != "http.disconnect":  # that stays true
            self._messages.popleft()
            self._size -= len(message.get("body", b""))
        self._changed.set()
        return message

    def _keep(self, message: Message) -> None:
        self._size += len(message.get("body", b""))
        if self._size > _KEPT and not self._has_reader:
            self._is_lost = True
            self._messages.clear()
        if not self._is_lost:
            self._messages.append(message)
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
