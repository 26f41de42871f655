"""Writes lines somewhere from a thread, so that no request waits for a disk or a pipe.

What does not fit into the queue is dropped, and what cannot be written is lost: both are counted, and
said in the log itself as soon as it takes a line again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from oxidite.lifespan import Lifespan

__all__ = ["LineWriter"]

T = TypeVar("T")

_logger = logging.getLogger("oxidite")

_GATHER = 0.05
"""Seconds that lines are gathered before they are written, in one go."""
_BATCH = 1000
_LAST_GRACE = 2.0


class LineWriter(Generic[T]):
    """Makes a line of each item that is ``put``, and writes it to ``to``.

    It runs while one of its lifespans is open; outside of them, ``put`` writes at once. A file is opened
    anew when it was renamed or removed, as programs do that rotate logs.
    """

    def __init__(
        self,
        to: Path | TextIO | None,
        line: Callable[[T], str],
        lost: Callable[[int], str],
        *,
        size: int,
    ) -> None:
        self._sink = _File(to) if isinstance(to, Path) else _Stream(to)
        self._line = line
        self._lost = lost
        self._size = size
        self._queue: deque[T] = deque()
        # Each is counted by one thread only: what did not fit, what was not written, what was told.
        self._dropped = 0
        self._failed = 0
        self._told = 0
        self.lifespans: set[Lifespan] = set()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._is_awake = False
        self._closing = threading.Event()

    async def run_while_open(self, lifespan: Lifespan) -> None:
        """Run until ``lifespan`` closes."""
        if lifespan.is_open:
            await lifespan.once(self, lambda stack: self._open(lifespan, stack))

    async def _open(self, lifespan: Lifespan, stack: contextlib.AsyncExitStack) -> None:
        self.lifespans.add(lifespan)
        if self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(target=self._run, name="oxidite-lines", daemon=True)
            self._thread.start()
        stack.push_async_callback(self._close, lifespan)

    async def _close(self, lifespan: Lifespan) -> None:
        self.lifespans.discard(lifespan)
        thread = self._thread
        if self.lifespans or thread is None:
            return
        self._closing.set()
        self._wake.set()
        await asyncio.to_thread(thread.join, _LAST_GRACE)
        if thread.is_alive():
            # It waits for somebody to take them; whoever puts more must not wait with it.
            _logger.warning("%d lines could not be written: nobody takes them", len(self._queue))
        else:
            self._thread = None

    def put(self, item: T) -> None:
        """Have a line of ``item`` written soon; never waits while a lifespan is open."""
        if len(self._queue) >= self._size:
            self._dropped += 1
            return
        self._queue.append(item)
        if self._thread is None:
            self._drain()
        elif not self._is_awake:
            self._is_awake = True
            self._wake.set()

    # In the thread.

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(_GATHER)
            # Before the queue is emptied: what comes from now on sets the event again.
            self._is_awake = False
            self._drain()

    def _drain(self) -> None:
        while self._queue:
            items: list[T] = []
            while self._queue and len(items) < _BATCH:
                items.append(self._queue.popleft())
            self._write(items)

    def _write(self, items: list[T]) -> None:
        lines = list(self._lines(items))
        untold = self._dropped + self._failed - self._told
        if untold:
            lines.insert(0, self._lost(untold))
        try:
            self._sink.write("".join(f"{each}\n" for each in lines))
        except Exception as exc:  # noqa: BLE001 - a log that cannot be written must not end the program
            self._fail("the access log cannot be written: %s", exc, len(items))
        else:
            self._told += untold

    def _lines(self, items: list[T]) -> Iterator[str]:
        for item in items:
            try:
                yield self._line(item)
            except Exception as exc:  # noqa: BLE001 - one that cannot be told does not keep the others
                self._fail("a line of the access log cannot be made: %r", exc, 1)

    def _fail(self, message: str, exc: Exception, count: int) -> None:
        if not self._failed:
            # Once: to tell of each is to fill another log.
            _logger.error(message, exc)
        self._failed += count


class _Stream:
    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        # Standard output is whatever it is by now.
        stream = self._stream or sys.stdout
        stream.write(text)
        stream.flush()


class _File:
    """A file that several processes may append to: each piece is one call of the system."""

    def __init__(self, path: Path) -> None:
        # Where the application was when it was told; it may go elsewhere before the first line.
        self._path = path.absolute()
        self._descriptor: int | None = None
        self._is_torn = False

    def write(self, text: str) -> None:
        descriptor = self._open()
        # After half a line, on a disk that was full.
        data = (b"\n" if self._is_torn else b"") + text.encode()
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        finally:
            if written:
                self._is_torn = data[written - 1 : written] != b"\n"

    def _open(self) -> int:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                    return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o640)
        return self._descriptor
