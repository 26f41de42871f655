"""``Redis``: commands of all tasks over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult

from oxidite.drivers.redis.errors import NoScriptError
from oxidite.drivers.redis.line import Line
from oxidite.drivers.redis.options import RedisOptions
from oxidite.drivers.redis.scripts import Script
from oxidite.drivers.redis.wire import Argument, packed

__all__ = ["Redis"]


class Redis(AbstractAsyncContextManager["Redis", None]):
    """Speaks to a server for all tasks of a process, over one connection that is kept open.

    What is asked for in one turn of the event loop leaves as one write. A command that is not answered in
    time raises ``BackendTimeoutError``; if the connection breaks meanwhile, ``BackendUnavailableError``:
    then nobody knows whether it was run, and it is not sent again, unless it is ``safe`` to. While there is
    no connection, commands are refused at once. Who is cancelled no longer waits, which disturbs nobody.

    Opening raises ``ConfigError`` if the server does not let us in; one that is away is waited for behind
    the scenes. ``connected`` is called each time there is a connection.
    """

    def __init__(
        self, options: RedisOptions, *, connected: Callable[[], object] | None = None
    ) -> None:
        self.options = options
        self._line = Line(options, connected)

    @classmethod
    def from_url(cls, url: str | SplitResult) -> Self:
        """Make one from ``redis://user:password@host:6379/0?timeout=1``, not yet open.

        Raises:
            ConfigError: the URL cannot be read, or says something that is not known.
        """
        options, _ = RedisOptions.from_url(url)
        return cls(options)

    async def __aenter__(self) -> Self:
        await self._line.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._line.close()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._line.wire is not None

    async def run(self, *command: Argument, safe: bool = False) -> object:
        """Run a command and return the reply: bytes, int, float, bool, list, dict, or ``None``.

        ``safe``: it may be run twice, so that a connection that breaks need not be noticed.

        Raises:
            BackendUnavailableError: there is no connection, or it broke.
            BackendTimeoutError: there was no answer in time.
            RedisFullError: there is no memory left.
            BackendError: the server refused it.
        """
        return await self._line.put(packed(command), safe=safe)

    def submit(self, *command: Argument, safe: bool = False) -> asyncio.Future[object]:
        """Send a command, and return what becomes done with its reply."""
        return self._line.put(packed(command), safe=safe)

    async def run_many(
        self, commands: Sequence[Sequence[Argument]], *, safe: bool = False
    ) -> list[object]:
        """Run commands in a row and return their replies; other processes' may come between them.

        Raises the first error among the replies, when all were run.
        """
        if not commands:
            return []
        data = b"".join([packed(command) for command in commands])
        replies = await self._line.put(data, safe=safe, count=len(commands))
        found = replies if isinstance(replies, list) else []
        for reply in found:
            if isinstance(reply, Exception):
                raise reply
        return found

    async def call(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument], *, safe: bool = False
    ) -> object:
        """Run a script, as one step, and return what it returns."""
        rest = (len(keys), *keys, *args)
        try:
            return await self.run("EVALSHA", script.digest, *rest, safe=safe)
        except NoScriptError:
            # It was not run, so it can be sent again; from now on the server knows it.
            return await self.run("EVAL", script.text, *rest, safe=safe)
