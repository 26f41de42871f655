"""Holds the socket, watches the files, and sees to it that the best code there is serves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterable
from importlib.util import cache_from_source
from pathlib import Path

import oxidite
from oxidite import clock
from oxidite.cli.console import dim, fail, say
from oxidite.cli.dev.messages import Order, Report
from oxidite.cli.dev.process import Child
from oxidite.cli.dev.stand_in import StandIn
from oxidite.servers import TLS, Target
from oxidite.servers.tls import server_context

__all__ = ["Supervisor"]

GRACE = 1.0
"""Seconds that a child has to end, whatever it is doing."""
CLOSING = 3.0
"""Seconds that it has to close its resources, once there is nothing else left to do."""

_FRAMEWORK = Path(oxidite.__file__).parent


class Supervisor:
    """Runs one child at a time, and replaces it when ``changes`` yields.

    Every child is in ``_children`` from its start to its end, so that none is ever left behind.
    """

    def __init__(
        self,
        target: Target,
        listener: socket.socket,
        changes: AsyncIterator[set[Path]],
        tls: TLS | None = None,
    ) -> None:
        self._target = target
        self._listener = listener
        self._changes = changes
        self._changed = asyncio.Event()
        self._batch: set[Path] = set()
        self._children: set[Child] = set()
        self._serving: Child | None = None
        self._spare: Child | None = None
        self._tls = tls
        self._stand_in = StandIn(listener, None if tls is None else server_context(tls))
        self._notices: set[asyncio.Task[None]] = set()
        self._replacing = asyncio.Lock()
        self._stop = asyncio.Event()
        self._signal: int | None = None

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; return the exit code.

        Raises:
            KeyboardInterrupt: it was SIGINT; everything is stopped.
        """
        loop = asyncio.get_running_loop()
        # Started by nohup it is to go on when the terminal goes.
        hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
        for each in (signal.SIGINT, signal.SIGTERM, *hangup):
            loop.add_signal_handler(each, self._stop_by, each)
        tasks = [loop.create_task(each) for each in (self._watch(), self._work(), self._stopped())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await self._end()
        for result in results:
            if isinstance(result, Exception):
                raise result
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        return 0

    def _stop_by(self, signum: int) -> None:
        self._signal = signum
        self._stop.set()

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def _end(self) -> None:
        self._stand_in.close()
        serving, self._serving = self._serving, None
        await asyncio.gather(
            *(
                child.stop(GRACE, CLOSING) if child is serving else child.kill()
                for child in self._children
            )
        )
        self._children.clear()

    # What happens.

    async def _watch(self) -> None:
        async for batch in self._changes:
            self._batch |= batch
            self._changed.set()

    async def _work(self) -> None:
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            batch, self._batch = self._batch, set()
            await self._renew(batch)

    async def _renew(self, batch: set[Path]) -> None:
        """Go over to the code as it is now, if it can be imported."""
        started = clock.perf()
        # Not before whoever imported something half is dead: it would compile the old code again.
        _forget_bytecode(batch)
        if any(path.is_relative_to(_FRAMEWORK) for path in batch):
            await self._drop_spare()
        candidate = await self._take_spare()
        report = await self._ask(candidate, Order("load"))
        if report is None or report.event == "failed":
            await self._kill(candidate)
            if report is not None:
                await self._keep(report.text)
            return
        if self._changed.is_set():
            # It is not worth stopping the old code for, as there is newer code by now.
            await self._kill(candidate)
            return
        async with self._replacing:
            await self._replace(candidate, batch, started)

    async def _ask(self, child: Child, order: Order) -> Report | None:
        """Give an order and return what comes of it; ``None`` if there is newer code by then."""
        child.tell(order)
        report = asyncio.ensure_future(child.report())
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((report, changed), return_when=asyncio.FIRST_COMPLETED)
            return report.result() if report.done() else None
        finally:
            report.cancel()
            changed.cancel()

    async def _keep(self, text: str) -> None:
        """Let the last good code serve on, and show what is wrong with the new."""
        if self._serving is None:
            await self._give_up(text)
            return
        fail(f"the changed code does not work, so the last that did serves on\n\n{text}")
        self._serving.tell(Order("overlay", text))

    async def _give_up(self, text: str) -> None:
        """Answer with what is wrong: there is no code that works."""
        fail(f"the application does not start\n\n{text}")
        await self._stand_in.show(text)

    async def _replace(self, candidate: Child, batch: Iterable[Path], started: float) -> None:
        """Stop the old child, let the new one go on."""
        old, self._serving = self._serving, None
        if old is not None:
            await old.stop(GRACE, CLOSING)
            self._children.discard(old)
        self._stand_in.close()
        report = await self._ask(candidate, Order("serve"))
        if report is None or report.event == "failed":
            await self._kill(candidate)
            if report is not None:
                await self._give_up(report.text)
            return
        self._serving = candidate
        self._notice_end(candidate)
        names = ", ".join(sorted(path.name for path in batch)[:3])
        took = f"Ready in {clock.perf() - started:.2f} s"
        say(dim(f"{took}: {names} changed" if names else took))
        self._spare = await self._start()

    def _notice_end(self, child: Child) -> None:
        notice = asyncio.get_running_loop().create_task(self._ended(child))
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    async def _ended(self, child: Child) -> None:
        """Say so when a child ends that nobody told to."""
        text = await child.ended()
        async with self._replacing:
            if self._serving is child:
                self._serving = None
                await self._kill(child)
                await self._give_up(f"{text} It starts again after the next change.")

    # Children.

    async def _start(self) -> Child:
        child = await Child.start(self._target, self._listener, self._tls)
        self._children.add(child)
        return child

    async def _take_spare(self) -> Child:
        spare, self._spare = self._spare, None
        if spare is not None and spare.is_alive:
            return spare
        return await self._start()

    async def _drop_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            await self._kill(spare)

    async def _kill(self, child: Child) -> None:
        await child.kill()
        self._children.discard(child)


def _forget_bytecode(batch: Iterable[Path]) -> None:
    """Remove the compiled form of changed files.

    It is told from an old one by the second and the size, so that two changes within a second may
    look like none.
    """
    for path in batch:
        if path.suffix == ".py":
            with contextlib.suppress(OSError, NotImplementedError):
                Path(cache_from_source(str(path))).unlink(missing_ok=True)
