"""The process that runs jobs: ``python -m oxidite.cli.queue.child TASK``.

Its supervisor keeps its lease, and it ends when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from itertools import count
from uuid import UUID

import msgspec

from oxidite.app import Oxidite
from oxidite.cli.queue.messages import Order, Report, Task, decode_order, encode
from oxidite.errors import ConfigError, OxiditeError
from oxidite.queue import Asked, Queue, Recycle, Worker
from oxidite.queue.leases import Keeper, LoopKeeper
from oxidite.queue.stores.advice import be_silent
from oxidite.servers import ImportFailedError
from oxidite.servers.frames import users_traceback
from oxidite.servers.hosting import check_is_shared, queues_of

__all__ = ["main"]

_LAST_GRACE = 3.0  # seconds to give jobs back once the supervisor is gone
_LONGEST = 100_000  # characters of what a foreign application says


class Control:
    """The line to the supervisor. A thread reads it, so that its end is never missed."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._obey: Callable[[Order], None] | None = None
        self._lock = threading.Lock()

    def report(self, report: Report) -> None:
        """Tell the supervisor; if it is gone, this process soon is too."""
        with contextlib.suppress(OSError), self._lock:
            self._sock.sendall(encode(report))

    def attach(self, obey: Callable[[Order], None]) -> None:
        """Have orders carried out in this loop from now on."""
        self._loop, self._obey = asyncio.get_running_loop(), obey
        threading.Thread(target=self._read, name="oxidite queue control", daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._sock.makefile("rb") as lines:
            for line in lines:
                self._pass_on(decode_order(line))
        # Killed, the supervisor no longer keeps the lease: what runs here soon runs elsewhere.
        self._pass_on(Order("end"))
        threading.Event().wait(_LAST_GRACE)
        os.kill(os.getpid(), signal.SIGKILL)

    def _pass_on(self, order: Order) -> None:
        if self._loop is not None and self._obey is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._obey, order)


class LineKeeper:
    """Has the supervisor keep the lease of the worker.

    If the store has no address by which the supervisor could open it, the lease is kept here.
    """

    def __init__(self, control: Control, queue: Queue, task: Task) -> None:
        self._control = control
        self._queue = queue
        self._task = task
        self._own: Keeper | None = None
        self.hear: Callable[[Asked], None] | None = None

    async def begin(self, worker: str, hear: Callable[[Asked], None]) -> None:
        """Begin."""
        self.hear = hear
        address = self._queue.address
        if address is None:
            lease, poison = self._task.lease, self._task.poison
            self._own = LoopKeeper(self._queue.store, lease=lease, poison=poison)
            await self._own.begin(worker, hear)
        self._control.report(Report("works", worker, address))

    async def end(self) -> None:
        """Keep it no longer."""
        if self._own is not None:
            await self._own.end()

    def sign(self, left: float) -> None:
        """Take a sign of life."""
        if self._own is not None:
            self._own.sign(left)
        self._control.report(Report("lives", left=left))


def main() -> int:
    """Work until told to stop; return the exit code."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    sys.argv = ["oxidite"]
    if not task.advises:
        be_silent()
    # Ctrl-C is for the supervisor, which says what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = Control(socket.socket(fileno=task.control))
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            abandoned = runner.run(_work(task, control))
    except ImportFailedError as exc:
        return _fail(control, exc.traceback)
    except OxiditeError as exc:
        return _fail(control, exc.message)
    except Exception as exc:  # noqa: BLE001 - shown, whatever it is
        return _fail(control, users_traceback(exc))
    if abandoned:
        # Threads that cannot be stopped would be waited for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the loop: uvloop, if it is installed, as servers have it."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def _fail(control: Control, text: str) -> int:
    control.report(Report("failed", text[:_LONGEST]))
    return 1


async def _work(task: Task, control: Control) -> int:
    app = task.target.load()
    if not isinstance(app, Oxidite):
        raise ConfigError(f"{task.target} is no Oxidite application, and has no queue.")
    queue = queue_of(app)
    check_is_shared(queue)
    keeper = LineKeeper(control, queue, task)
    worker = Worker(
        queue,
        queues=task.queues,
        concurrency=task.concurrency,
        prefetch="auto" if task.prefetch is None else task.prefetch,
        lease=task.lease,
        grace=task.grace,
        drain=task.drain,
        poison=task.poison,
        recycle=Recycle(jobs=task.max_jobs, seconds=task.max_age, memory=task.max_memory),
        resources=app.lifespan,
        keeper=keeper,
    )
    async with app.running():
        await _run(worker, keeper, control)
    return worker.health().abandoned


async def _run(worker: Worker, keeper: LineKeeper, control: Control) -> None:
    """Let a worker work until the supervisor, a signal or itself stops it."""

    def obey(order: Order) -> None:
        if order.do != "hear":
            worker.stop(now=order.do == "end")
        elif keeper.hear is not None:
            keeper.hear(Asked([UUID(each) for each in order.cancel], [], lost=order.lost))

    signals = count()

    def stop() -> None:
        # Only a second signal hurries: a group that is told as a whole gets one beside the order.
        worker.stop(now=next(signals) > 0)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    control.attach(obey)
    async with worker:
        await worker.stopping()
        control.report(Report("spent"))


def queue_of(app: Oxidite) -> Queue:
    """Return the queue of an application.

    Raises:
        ConfigError: it has none, or several.
    """
    found = queues_of(app)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError("The application has no queue: Oxidite(resources=[…, queue]).")
    raise ConfigError(f"The application has {len(found)} queues, and a worker is for one of them.")


if __name__ == "__main__":
    sys.exit(main())
