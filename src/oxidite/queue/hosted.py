"""A worker inside a web process: of several processes that could host it, one does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from secrets import token_hex

from oxidite import clock
from oxidite.instrument import event
from oxidite.lifespan import Lifespan
from oxidite.queue.queue import Queue
from oxidite.queue.worker import Worker

__all__ = ["HostedWorker"]

_logger = logging.getLogger("oxidite.queue")

_ROLE = "hosts the worker"
_TERM = 10.0  # seconds for which a process hosts it without being heard of


class HostedWorker:
    """Runs the worker that ``make`` makes, as long as this process is the one of its role in the store.

    A resource, which works with those of the application. When the process ends, another one is the one
    at once; when it is killed, within ten seconds.
    """

    def __init__(self, queue: Queue, make: Callable[[], Worker]) -> None:
        self.worker: Worker | None = None
        self._queue = queue
        self._make = make
        self._name = f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._confirmed = 0.0

    async def begin(self, resources: Lifespan) -> None:
        """Stand by, or begin."""
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run(resources), name="oxidite hosted worker")

    async def end(self) -> None:
        """End the worker, if it is here, and let another process host it."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, resources: Lifespan) -> None:
        while not self._stop.is_set():
            try:
                if await self._leads():
                    await self._host(resources)
            except Exception:
                _logger.exception("the worker cannot be hosted here, for now")
            await self._passed(_TERM / 3)

    async def _host(self, resources: Lifespan) -> None:
        worker = self.worker = self._make()
        await worker.begin(resources)
        event("queue.hosted", worker=worker.name)
        try:
            while not self._stop.is_set() and await self._leads():
                await self._passed(_TERM / 3)
        finally:
            await worker.end()
            self.worker = None
            with contextlib.suppress(Exception):  # its term ends by itself
                await self._queue.store.lead(_ROLE, self._name, 0.0)

    async def _leads(self) -> bool:
        """Tell whether this process is the one; one that was is until its term is over."""
        now = clock.perf()
        try:
            leads = await self._queue.store.lead(_ROLE, self._name, _TERM)
        except Exception as exc:  # noqa: BLE001 - the worker has its own ways with a store that fails
            _logger.warning("the store of jobs did not tell who hosts the worker: %s", exc)
            return self.worker is not None and now - self._confirmed < _TERM
        if leads:
            self._confirmed = now
        return leads

    async def _passed(self, seconds: float) -> None:
        # Real time, as that of the role is.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
