"""A child that runs jobs, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys

import msgspec

from oxidite.cli.queue.messages import Order, Report, Task, decode_report, encode
from oxidite.queue.leases import Life

__all__ = ["Child"]

_LONGEST = 1 << 20  # bytes of a line


class Child:
    """A process, what it has said of itself, and its signs of life."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lease: float,
    ) -> None:
        self.process: asyncio.subprocess.Process = process
        self.life: Life = Life(lease)
        self.name: str | None = None
        self.address: str | None = None
        self.spent: asyncio.Event = asyncio.Event()
        self.failure: str | None = None
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, task: Task) -> Child:
        """Start one."""
        ours, theirs = socket.socketpair()
        with theirs:
            task = msgspec.structs.replace(task, control=theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a queue.py of the project must not stand in for the library's
                "-m",
                "oxidite.cli.queue.child",
                encode(task).decode(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_LONGEST)
        return cls(process, reader, writer, task.lease)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.process.returncode is not None

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped by a signal, and may go on by another."""
        options = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.pid, options) is not None
        return False

    def tell(self, order: Order) -> None:
        """Give an order."""
        if not self._writer.is_closing():
            self._writer.write(encode(order))

    async def report(self) -> Report | None:
        """Return what it says next; ``None`` once it has ended."""
        with contextlib.suppress(OSError, ValueError):
            line = await self._reader.readline()
            if line:
                return decode_report(line)
        return None

    def kill(self) -> None:
        """Kill it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def ended(self) -> str:
        """Wait until it has ended, and return how."""
        code = await self.process.wait()
        self._writer.close()
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"
