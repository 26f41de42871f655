"""Servers that say what a test wants them to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

__all__ = ["command", "login", "pretender"]

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def pretender(talk: Conversation) -> AsyncIterator[int]:
    """A server that says what a test wants it to."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (asyncio.CancelledError, EOFError, OSError):
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what every connection begins with."""
    for reply in (b"%1\r\n+proto\r\n:3\r\n", b"+OK\r\n", b"+OK\r\n", b"+OK\r\n", b"%0\r\n"):
        await command(reader)
        writer.write(reply)


async def command(reader: asyncio.StreamReader) -> list[bytes]:
    """Read a command; ``EOFError`` when there are no more."""
    if not (line := await reader.readline()):
        raise EOFError
    count = int(line[1:])
    parts: list[bytes] = []
    for _ in range(count):
        size = int((await reader.readline())[1:])
        parts.append((await reader.readexactly(size + 2))[:-2])
    return parts
