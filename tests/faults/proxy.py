"""A connection that a test can hold up, slow down and break."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Self

__all__ = ["Proxy"]


class Proxy:
    """Stands between, and hands on what comes, for as long as it likes."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.port = 0
        self.delay = 0.0
        """Seconds that everything takes longer."""
        self.stops_at = b""
        """When these bytes come, nothing is handed on any more; ``stopped`` tells of it."""
        self.stopped = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._is_closed = True
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # What was accepted just before begins, and ends; and sockets are closed a turn later.
        for _turn in range(5):
            await asyncio.sleep(0)

    def cut(self) -> None:
        """Break off what is open, as a machine that is gone."""
        for writer in list(self._pairs):
            with contextlib.suppress(OSError):
                found: socket.socket = writer.get_extra_info("socket")
                found.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
                )
            writer.transport.abort()
        self._pairs.clear()

    def pause(self) -> None:
        """Hand on nothing, and say nothing, as a network that loses everything."""
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._pairs.add(writer)
        try:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._pairs.add(other_writer)
        if self._is_closed:
            self.cut()
            return
        for source, target in ((reader, other_writer), (other_reader, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self.stops_at and self.stops_at in data:
                    self.stops_at = b""
                    self.pause()
                    self.stopped.set()
                await self._flows.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                target.write(data)
                await target.drain()
        target.close()
