"""A child, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys

from oxidite.cli.dev.messages import LONGEST, Order, Report, Task, decode_report, encode
from oxidite.servers import TLS, Target

__all__ = ["Child"]


class Child:
    """A process, with a process group of its own, that serves or will serve the application."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, target: Target, listener: socket.socket, tls: TLS | None = None) -> Child:
        """Start a child; it waits for its first order."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST)
            task = Task(
                module=target.module,
                attribute=target.attribute,
                directory=str(target.directory),
                file=None if target.file is None else str(target.file),
                control=theirs.fileno(),
                listener=listener.fileno(),
                certificate=None if tls is None else str(tls.certificate),
                key=None if tls is None else str(tls.key),
            )
            try:
                # Last, as a process that somebody waits on to start is nobody's yet.
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # a queue.py of the project must not stand in for the library's
                    "-m",
                    "oxidite.cli.dev.child",
                    encode(task).decode().strip(),
                    # Nobody types into a process group in the background: reading would stop it.
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(task.control, task.listener),
                    process_group=0,
                )
            except BaseException:
                writer.close()
                raise
        return cls(process, reader, writer)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    def tell(self, order: Order) -> None:
        """Give an order; one that nobody can take any more is dropped."""
        self._writer.write(encode(order))

    async def report(self) -> Report:
        """Return the next report; the end of the process is a failure."""
        try:
            line = await self._reader.readline()
        except OSError:
            line = b""
        return decode_report(line) if line else Report("failed", await self.ended())

    async def ended(self) -> str:
        """Wait until the process has ended and say how."""
        code = await self._process.wait()
        if code < 0:
            return f"The process of the application was ended by {signal.Signals(-code).name}."
        return f"The process of the application ended by itself, with exit code {code}."

    async def stop(self, grace: float, closing: float) -> None:
        """Ask the process to end; after ``grace`` seconds kill all of its group.

        Once it says that its resources are all that is left it has ``closing`` seconds for them:
        what is not closed may be in the way of those who open it next.
        """
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.report()
            async with asyncio.timeout(closing):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Kill the process and whatever it has started and left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        self._writer.close()
